"""``python -m flamenco_cli`` is the ``flamenco`` command."""

from flamenco_cli.main import main

main()
