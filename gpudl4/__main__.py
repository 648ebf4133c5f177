"""``python -m gpudl4`` does the same as the command ``gpudl4``."""

from .cli.main import main

main()
