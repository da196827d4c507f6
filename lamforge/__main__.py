"""Lets `python -m lamforge` do what `lamforge` does."""

from lamforge.cli.main import main

if __name__ == "__main__":
    main()
