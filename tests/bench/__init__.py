"""What the program takes for its work, beside what bare SQL on the same rows takes: `python -m tests.bench`."""
