"""`python -m aletheia_like` is the command `aletheia`."""

from aletheia_like.cli.main import main

main()
