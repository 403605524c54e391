import pytest

from opsin.errors import DataError, UsageError
from opsin.evaluation.costs_file import read_costs

NAMES = ["cat", "dog", "a, b"]
TABLE = 'truth,dog,cat,"a, b"\ncat,5,0,1\n"a, b",2,3,0\ndog,-1.5,7,4\n'


@pytest.fixture
def write(tmp_path):
    def write(text):
        (tmp_path / "costs.csv").write_text(text, "utf-8")
        return tmp_path / "costs.csv"

    return write


def test_a_table_is_read_by_its_names(write):
    assert read_costs(write(TABLE), NAMES).tolist() == [[0, 5, 1], [7, -1.5, 4], [3, 2, 0]]


def test_a_list_says_what_is_not_1(write):
    costs = read_costs(write('truth,said,cost\ndog,cat,20\n"a, b",dog,0.5\n'), NAMES)
    assert costs.tolist() == [[0, 1, 1], [20, 0, 1], [1, 0.5, 0]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        (",cat,dgo\n", "Did you mean 'dog'"),
        (",cat,dog\n", "one column for each class .* for 'a, b'"),
        (TABLE.replace("dog,-1.5,7,4", "cat,1,2,3"), "one line for each class .* for 'cat', 'dog'"),
        (TABLE.replace("cat,5,0,1", "cat,5,0"), "Expected 4 cells in line 2 .* received 3"),
        (TABLE.replace("5", "dear"), "numbers as costs in line 2 .* received 'dear'"),
        (TABLE.replace("5", "nan"), "numbers as costs in line 2"),
        ("truth,said,cost\ncat,dog\n", "Expected 3 cells in line 2"),
        ("truth,said,cost\ncat,dog,1\ncat,dog,2\n", "line 3 has another"),
    ],
)
def test_what_is_no_such_file_is_told(write, text, words):
    with pytest.raises(DataError, match=words):
        read_costs(write(text), NAMES)


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="none at"):
        read_costs(tmp_path / "costs.csv", NAMES)
