"""``python -m fc`` is ``fcctl``: the name ``fc`` itself is a builtin of bash and zsh."""

from fc.cli.main import main

if __name__ == "__main__":
    main()
