"""``python -m metaphase``."""

from metaphase.cli import main

if __name__ == "__main__":
    main()
