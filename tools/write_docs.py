"""Write what the documentation can take from the code: `python tools/write_docs.py` (a test holds it fresh)."""

import ast
import importlib
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path

import rich.text
import typer.models

import opsin
from opsin.architectures import ARCHITECTURES
from opsin.augmentation import AUGMENTATIONS
from opsin.augmentation.policies import POLICIES, describe
from opsin.cli.main import COMMANDS, GROUPS, load
from opsin.errors import ExitCode

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "opsin"
BEGIN, END = "<!-- {}: written by tools/write_docs.py -->", "<!-- end of {} -->"


def documents() -> dict[Path, str]:
    """Return what each generated document should hold, by its path."""
    architecture = ROOT / "ARCHITECTURE.md"
    return {
        architecture: with_section(architecture.read_text(encoding="utf-8"), "module map", module_map()),
        ROOT / "docs" / "reference.md": reference(),
    }


def with_section(text: str, name: str, content: str) -> str:
    """Return the text with what stands between a section's marks replaced."""
    before, _, rest = text.partition(BEGIN.format(name))
    _, _, after = rest.partition(END.format(name))
    return f"{before}{BEGIN.format(name)}\n{content}\n{END.format(name)}{after}"


def module_map() -> str:
    """Return every module with the first line of its docstring."""
    lines = []
    for path in sorted(
        SOURCE.rglob("*.py"), key=lambda p: (p.parent != SOURCE, p.parent.name, p.name != "__init__.py", p.name)
    ):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        name = path.relative_to(SOURCE).as_posix()
        if name.endswith("/__init__.py"):
            lines.append(f"\n**{name.removesuffix('__init__.py')}** {docstring.splitlines()[0]}\n")
        else:
            lines.append(f"- `{name}` {docstring.splitlines()[0]}")
    return "\n".join(lines)


def reference() -> str:
    """Return the reference of commands, exit codes, catalogues and public names."""
    parts = ["# Reference", "Written from the code by `tools/write_docs.py`; do not edit.", "## Commands"]
    parts += [command_section(name, getattr(load(name), name), load(name).EXAMPLES) for name in COMMANDS]
    parts += [
        command_section(f"{name} {function.__name__}", function, load(name).EXAMPLES[function.__name__])
        for name in GROUPS
        for function in load(name).COMMANDS
    ]
    parts += ["## Exit codes", *exit_codes(), "## Architectures", architectures()]
    parts += ["## Augmentation policies", policies(), "## Public names", public_names()]
    return "\n\n".join(parts) + "\n"


def command_section(name: str, function: Callable[..., None], examples: Sequence[str]) -> str:
    """Return one command's purpose, examples and options."""
    rows = [row for parameter in inspect.signature(function).parameters.values() if (row := option_row(parameter))]
    shown = "\n".join(examples)
    table = "\n".join(["| | default | |", "|---|---|---|", *rows])
    return f"### opsin {name}\n\n{inspect.getdoc(function)}\n\n```\n{shown}\n```\n\n{table}"


def option_row(parameter: inspect.Parameter) -> str | None:
    """Return a table row for an argument or option; None for what the user does not give."""
    info = parameter.default
    if isinstance(info, typer.models.ArgumentInfo):
        return f"| `{info.metavar or parameter.name.upper()}` | | {plain(info.help)} |"
    if not isinstance(info, typer.models.OptionInfo):
        return None
    flag = (info.param_decls or ["--" + parameter.name.replace("_", "-")])[0]
    default = info.default
    if default is ...:
        shown = "must be given"
    else:
        shown = "" if default is None or default is False else f"`{default}`".replace("True", "yes")
    return f"| `{flag}` | {shown} | {plain(info.help)} |"


def plain(text: str) -> str:
    """Return a help text as a terminal shows it, without its markup."""
    return rich.text.Text.from_markup(text).plain


def exit_codes() -> list[str]:
    """Return the exit codes with what they mean."""
    tree = ast.parse((SOURCE / "errors.py").read_text(encoding="utf-8"))
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "ExitCode").body
    meanings = {}
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.Assign):
            said = following.value.value if isinstance(following, ast.Expr) else "All went as it should."
            meanings[node.targets[0].id] = said
    return ["\n".join(f"- {code.value}: {meanings[code.name]}" for code in ExitCode)]


def architectures() -> str:
    """Return the catalogue of architectures as a table."""
    rows = [
        f"| `{name}` | {'×'.join(map(str, entry.input_shape))} | {entry.least_size} | {entry.description} |"
        for name, entry in ARCHITECTURES.items()
    ]
    return "\n".join(["| name | input | least size | |", "|---|---|---|---|", *rows])


def policies() -> str:
    """Return the augmentation policies, and all single changes."""
    rows = [f"- `{name}`: {describe(policy)}" for name, policy in POLICIES.items()]
    return "\n".join([*rows, "", f"Single changes: {', '.join(f'`{name}`' for name in AUGMENTATIONS)}."])


def public_names() -> str:
    """Return the names in `opsin` with the first lines of their docstrings."""
    names = [name for name in opsin.__all__ if not name.startswith("__")]
    docs = {name: inspect.getdoc(getattr(importlib.import_module("opsin"), name)) for name in names}
    return "\n".join(f"- `opsin.{name}`: {docs[name].splitlines()[0]}" for name in names)


if __name__ == "__main__":
    for path, content in documents().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
