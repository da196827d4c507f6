"""Lets `python -m lamforge` do what `lamforge` does."""

from lamforge.main import main

if __name__ == "__main__":
    main()
