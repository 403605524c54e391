"""What the page of a report is made of: a file for each of its parts, and what they are drawn with."""
