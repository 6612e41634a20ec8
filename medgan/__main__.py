"""``python -m medgan`` is the command line."""

from medgan.cli import main

if __name__ == "__main__":
    main()
