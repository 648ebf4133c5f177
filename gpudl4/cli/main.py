"""The command ``gpudl4``: fit files, look into files, run the demo, compile ahead.

Exit codes: 0 success, 2 bad input or usage (one line on stderr), 3 the fit did not converge. An error that nobody foresaw keeps its
traceback and exits with 1.
"""

import signal
import sys

import click

from .. import __version__
from ..core.errors import GPUDL4Error
from .demo import demo
from .fit import fit
from .info import info
from .warmup import warmup

__all__ = ["cli", "main", "run"]

BAD_INPUT = 2
INTERRUPTED = 130
TERMINATED = 143
USER_ERRORS = (GPUDL4Error, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "-V", "--version", prog_name="gpudl4", message="%(prog)s %(version)s")
@click.pass_context
def cli(context):
    """Fit gamma-ray data cubes (DL4) by binned likelihood.

    \b
    gpudl4 demo                                      simulate a field and fit it
    gpudl4 fit DATASETS.yaml MODELS.yaml -o OUT      fit models to datasets
    gpudl4 info FILE                                 what is in a file
    gpudl4 warmup                                    compile all kernels ahead of the first fit

    Files are those of gammapy: datasets as FITS with a YAML list of them, models as YAML.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


cli.add_command(fit)
cli.add_command(info)
cli.add_command(demo)
cli.add_command(warmup)


def _one_line(message):
    return " ".join(str(message).split())


def _usage_message(error):
    """Message of a click error with the command it concerns."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "gpudl4"
    return f"{command}: {_one_line(error.format_message()).rstrip('.')}. See '{command} --help'."


def run(arguments=None):
    """Run a command line and return its exit code.

    Parameters
    ----------
    arguments : list of str, optional
        Words after ``gpudl4``; those of the process by default.
    """
    try:
        code = cli.main(arguments, prog_name="gpudl4", standalone_mode=False)
    except click.ClickException as error:
        click.echo(_usage_message(error), err=True)
        return BAD_INPUT
    except USER_ERRORS as error:
        click.echo(f"gpudl4: {_one_line(error)}", err=True)
        return BAD_INPUT
    except click.Abort:
        click.echo("gpudl4: interrupted", err=True)
        return INTERRUPTED
    return code or 0


def main():
    """Entry point of the installed command."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # so that a batch system's end also removes the half-made output
    sys.exit(run())
