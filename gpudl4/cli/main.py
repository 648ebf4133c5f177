"""The command ``gpudl4``: fit files, look into files, run the demo, compile ahead.

Exit codes: 0 success, 2 bad input or usage, or the system refuses, such as a full disk (one line on stderr), 3 the fit did not converge.
An error that nobody foresaw keeps its traceback and exits with 1.
"""

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import click

try:
    import resource
except ImportError:  # no such limits on Windows
    resource = None

from .. import __version__
from ..core.errors import GPUDL4Error
from .demo import demo
from .fit import fit
from .info import info
from .notices import Notices, collected_notices, one_line
from .streams import Stream, forgiving_streams
from .warmup import warmup

__all__ = ["Console", "cli", "main", "run"]

BAD_INPUT = 2
SIGNALLED = 128  # plus the number of the signal
USER_ERRORS = (GPUDL4Error, OSError, MemoryError)
LEAST_ADDRESS_SPACE = 1 << 30  # bytes; where there is less, libraries that are loaded or compile end the process without a word


@dataclass(frozen=True)
class Console:
    """What commands get to speak to the user: standard output, and warnings that are held back."""

    out: Stream
    notices: Notices


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "-V", "--version", prog_name="gpudl4", message="%(prog)s %(version)s")
@click.pass_context
def cli(context):
    """Fit gamma-ray data cubes (DL4) by binned likelihood.

    \b
    gpudl4 demo                                      simulate a field and fit it
    gpudl4 fit DATASETS MODELS.yaml -o OUT           fit models to datasets
    gpudl4 info FILE                                 what is in a file
    gpudl4 warmup                                    compile all kernels ahead of the first fit

    Files are those of gammapy: datasets as FITS with a YAML list of them, models as YAML.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
    else:
        _check_surroundings()


cli.add_command(fit)
cli.add_command(info)
cli.add_command(demo)
cli.add_command(warmup)


def _check_surroundings():
    """Check what libraries need that say nothing, or too much, where it is missing."""
    try:
        Path.home()
    except RuntimeError as error:
        raise GPUDL4Error(
            "this user has no home folder, and astropy wants one: set the environment variable HOME to a folder that you can write"
        ) from error
    if resource is not None:
        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESS_SPACE:
            raise MemoryError(f"the limit for a process, ulimit -v, is {limit >> 20} MiB; at least {LEAST_ADDRESS_SPACE >> 20} are needed")


def _usage_message(error):
    """Message of a click error with the command it concerns."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "gpudl4"
    return f"{command}: {one_line(error.format_message()).rstrip('.')}. See '{command} --help'."


def _message(error):
    """One line about an error that is the user's or the system's."""
    if isinstance(error, MemoryError) and not isinstance(error, GPUDL4Error):
        return f"there is not enough memory ({one_line(error)}). A smaller region, larger pixels or --dtype float32 need less"
    if isinstance(error, OSError) and not isinstance(error, GPUDL4Error) and error.strerror:
        return error.strerror + ("" if error.filename is None else f": '{error.filename}'")
    return one_line(error)


def run(arguments=None):
    """Run a command line and return its exit code.

    Parameters
    ----------
    arguments : list of str, optional
        Words after ``gpudl4``; those of the process by default.
    """
    with forgiving_streams() as out:
        try:
            with collected_notices() as notices:
                code = cli.main(arguments, prog_name="gpudl4", standalone_mode=False, obj=Console(out, notices)) or 0
        except click.ClickException as error:
            message, code = _usage_message(error), BAD_INPUT
        except USER_ERRORS as error:
            message, code = f"gpudl4: {_message(error)}", BAD_INPUT
        except click.Abort:
            message, code = "gpudl4: interrupted", SIGNALLED + signal.SIGINT
        else:
            if code or out.lost is None or isinstance(out.lost, BrokenPipeError):  # whoever closed the pipe has read enough
                return code
            message, code = f"gpudl4: standard output cannot be written ({out.reason})", BAD_INPUT
        click.echo(message, err=True)
        return code


def main():
    """Entry point of the installed command."""
    for name in ("SIGTERM", "SIGHUP"):  # so that the end of a batch job or of a terminal also removes the half-made output
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, lambda number, _: sys.exit(SIGNALLED + number))
    for number in range(3):
        _open(number)
    code = run()
    for stream in (sys.stdout, sys.stderr):
        _close(stream)
    sys.exit(code)


def _open(number):
    """Open a standard stream that is closed, so that no other file gets its number and the messages of libraries."""
    try:
        os.fstat(number)
    except OSError:
        os.open(os.devnull, os.O_RDWR)


def _close(stream):
    """Drop what a stream still holds and cannot write; Python would complain at the end and change the exit code."""
    try:
        stream.flush()
    except (AttributeError, OSError, ValueError):
        if stream is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
