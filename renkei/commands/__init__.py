"""The commands of the command line, one module each; ``cli.py`` gathers them."""
