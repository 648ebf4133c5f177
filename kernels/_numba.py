"""Compile a kernel with Numba: machine code whose entry takes the addresses of array objects. Imported only where something is compiled.

`build` gives the code as an object file, which `_machine.load` puts into memory in later processes without Numba, and `load` here where
that cannot be done. What is compiled is the kernel, and before it an entry that reads the fields of the arrays (`_arrays`) and returns
`OTHER` if they are not of the forms it was compiled for.
"""

import functools
import types as python_types

import numba as nb
import numpy as np
from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.core.compiler import Flags, compile_extra
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.np.arrayobj import make_array, populate_array
from numba.np.numpy_support import from_dtype

from ._arrays import KIND, KIND_THAT_COUNTS, OFFSETS, TYPE
from ._compiled import OTHER, Kernel, prange

__all__ = ["build", "dispatcher", "load"]

INT, ADDRESS = ir.IntType(32), ir.IntType(64)


@global_compiler_lock
def build(kernel, forms, symbol):
    """Compile a kernel for arguments of given forms.

    Parameters
    ----------
    kernel : Kernel
    forms : tuple of Form
    symbol : str
        Name of the entry.

    Returns
    -------
    code : bytes
        An object file.
    address : int
        Of the entry, in this process.

    Raises
    ------
    TypeError
        If the function returns something: kernels write into their arguments.
    numba.core.errors.NumbaError
        If it cannot be compiled for these types.
    """
    target, made = cpu_target.target_context, dispatcher(kernel)
    flags = Flags()
    cpu_target.options.parse_as_flags(flags, made.targetoptions)
    flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True  # nothing but the entry is ever called
    arguments = tuple(_type(form) for form in forms)
    compiled = compile_extra(cpu_target.typing_context, target, made.py_func, arguments, None, flags, {})
    if compiled.signature.return_type != types.none:
        raise TypeError(f"{kernel.name} returns {compiled.signature.return_type}: a kernel writes into its arguments and returns nothing")
    library = target.codegen().create_library(symbol)
    library.enable_object_caching()
    module = library.create_ir_module(symbol)
    _write_entry(target, module, compiled.fndesc, arguments, forms, symbol)
    library.add_ir_module(module)
    library.add_linking_library(compiled.library)
    library.finalize()
    address = library.get_pointer_to_function(symbol)
    return library._get_compiled_object(), address


@global_compiler_lock
def load(code, symbol):
    """Address of the entry in an object file, which LLVM loads.

    Parameters
    ----------
    code : bytes
    symbol : str
    """
    _launch_threads()
    engine = cpu_target.target_context.codegen()._engine._ee
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address = engine.get_function_address(symbol)
    if not address:
        raise LookupError(f"no function {symbol!r} in the compiled code")
    return address


def _launch_threads():
    """Make known what code with threads calls."""
    nb.get_num_threads()


@functools.cache
def dispatcher(kernel):
    """What Numba makes of a kernel's function and of those it calls; unlike a kernel it may be asked for what it returns."""
    function = kernel.function
    used = {name: function.__globals__[name] for name in function.__code__.co_names if name in function.__globals__}
    own = python_types.FunctionType(function.__code__, {name: _for_numba(value) for name, value in used.items()}, function.__name__)
    own.__module__, own.__qualname__ = function.__module__, function.__qualname__
    return nb.njit(nogil=True, **kernel.options)(own)


def _for_numba(value):
    if value is prange:
        return nb.prange
    return dispatcher(value) if isinstance(value, Kernel) else value


def _type(form):
    """Numba's type of an argument."""
    dtype = from_dtype(np.dtype(form.char))
    if form.ndim == 0:
        return dtype
    return types.Array(dtype, form.ndim, "C" if form.contiguous else "A", readonly=not form.writeable, aligned=form.aligned)


def _write_entry(target, module, described, arguments, forms, symbol):
    """int32 entry(int64 *objects, int64 array_type): check the arguments, take them apart, call the kernel."""
    entry = ir.Function(module, ir.FunctionType(INT, [ADDRESS.as_pointer(), ADDRESS]), symbol)
    builder = ir.IRBuilder(entry.append_basic_block("entry"))
    values = []
    for i, (kind, form) in enumerate(zip(arguments, forms, strict=True)):
        read = _Reader(builder, builder.load(cgutils.gep(builder, entry.args[0], i)))
        read.leave_unless(form, entry.args[1])
        values.append(read.array(target, kind) if form.ndim else read.number(target, kind))
    call = target.call_conv
    function = cgutils.get_or_insert_function(module, call.get_function_type(types.none, arguments), described.mangled_name)
    status, _ = call.call_function(builder, function, types.none, arguments, values)
    builder.ret(builder.select(status.is_error, status.code, INT(0)))


class _Reader:
    """Writes instructions that read fields of an array object.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    address : llvmlite.ir.Value
        Of the object.
    """

    def __init__(self, builder, address):
        self._builder, self._address = builder, address

    def _at(self, address, offset, kind):
        where = self._builder.add(address, ADDRESS(offset))
        return self._builder.load(self._builder.inttoptr(where, kind.as_pointer()))

    def _field(self, name, kind=ADDRESS):
        return self._at(self._address, OFFSETS[name], kind)

    def leave_unless(self, form, array_type):
        """Return OTHER if it is no array, or not of a form."""
        b = self._builder
        self._leave_unless(b.icmp_signed("==", self._at(self._address, TYPE, ADDRESS), array_type))
        kind = b.and_(self._at(self._field("dtype"), KIND, ADDRESS), ADDRESS(KIND_THAT_COUNTS))
        flags = b.and_(self._field("flags", INT), INT(form.flags_that_count))
        same = b.icmp_signed("==", self._field("ndim", INT), INT(form.ndim))
        same = b.and_(same, b.icmp_signed("==", kind, ADDRESS(form.kind)))
        same = b.and_(same, b.icmp_signed("==", flags, INT(form.flags)))
        self._leave_unless(same)

    def _leave_unless(self, condition):
        with cgutils.if_unlikely(self._builder, self._builder.not_(condition)):
            self._builder.ret(INT(OTHER))

    def number(self, target, kind):
        """The number that an array of no dimensions holds."""
        data = self._builder.inttoptr(self._field("data"), target.get_data_type(kind).as_pointer())
        return target.unpack_value(self._builder, kind, data)

    def array(self, target, kind):
        """Numba's structure of an array. It owns nothing: the caller keeps the object."""
        builder = self._builder
        array = make_array(kind)(target, builder)
        shape, strides = ([self._at(self._field(n), 8 * i, ADDRESS) for i in range(kind.ndim)] for n in ("shape", "strides"))
        item = target.get_data_type(kind.dtype)
        data = builder.inttoptr(self._field("data"), item.as_pointer())
        populate_array(array, data, shape, strides, target.get_constant(types.intp, target.get_abi_sizeof(item)), None)
        return array._getvalue()
