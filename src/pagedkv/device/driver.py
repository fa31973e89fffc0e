"""The calls of the CUDA driver that torch does not offer, through ctypes: no package but the driver itself is needed.

The driver reports errors as values and, unlike the runtime that torch uses, keeps none for a later call to stumble on.
A CUDA context has to be current, which it is in a thread that has used torch on the device. Addresses are plain
integers; host memory that is registered has the same one on the device.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

from pagedkv.errors import PagedKVError

_LIBRARY = "libcuda.so.1"
_BATCH_SINCE = 12080
"""CUDA 12.8 introduced batches, with a `failIdx` that CUDA 13 dropped. Newer drivers still serve the older call."""
_PORTABLE_AND_MAPPED = 1 | 2
_STREAM_ORDER = 1
_DEVICE, _HOST = 1, 2

_pointer, _size = ctypes.c_void_p, ctypes.c_size_t


class _Location(ctypes.Structure):
    """CUmemLocation."""

    _fields_ = [("type", ctypes.c_int), ("id", ctypes.c_int)]


class _Attributes(ctypes.Structure):
    """CUmemcpyAttributes."""

    _fields_ = [
        ("src_access_order", ctypes.c_int),
        ("src_location", _Location),
        ("dst_location", _Location),
        ("flags", ctypes.c_uint),
    ]


def register(address: int, size: int) -> str:
    """Lock `size` bytes of host memory and map them for all devices; the driver's error, or nothing."""
    return _error(_library().cuMemHostRegister_v2(address, size, _PORTABLE_AND_MAPPED))


def unregister(address: int) -> str:
    """Undo `register`; the driver's error, or nothing."""
    return _error(_library().cuMemHostUnregister(address))


def copier() -> Callable[[int, int, int, int], None]:
    """A function (dst, src, size, stream) that enqueues one copy. Raises PagedKVError when the driver refuses it."""
    call = _library().cuMemcpyAsync

    def copy(dst: int, src: int, size: int, stream: int) -> None:
        code = call(dst, src, size, stream)
        if code:
            raise PagedKVError(f"the CUDA driver refuses a copy of {size} bytes: {_error(code)}")

    return copy


def batch_copier(to_device: bool, ordinal: int) -> Callable[[int, int, int, int, int], None] | None:
    """A function (dsts, srcs, sizes, count, stream) that enqueues `count` copies, in no order among themselves, as one.

    The first three are addresses of arrays of 64-bit words, which are read before the call returns. The copies go
    between host memory and device `ordinal`. The function raises PagedKVError when the driver refuses the batch, as it
    does on the legacy default stream. None where the driver is older than CUDA 12.8.
    """
    call = _batch_call()
    if call is None:
        return None
    host, device = _Location(_HOST, 0), _Location(_DEVICE, ordinal)
    src, dst = (host, device) if to_device else (device, host)
    attributes = _Attributes(_STREAM_ORDER, src, dst, 0)
    first, failed = _size(0), _size(0)
    fixed = (ctypes.byref(attributes), ctypes.byref(first), 1, ctypes.byref(failed))

    def copy(dsts: int, srcs: int, sizes: int, count: int, stream: int) -> None:
        code = call(dsts, srcs, sizes, count, *fixed, stream)
        if code:
            raise PagedKVError(f"the CUDA driver refuses a batch of {count} copies: {_error(code)}")

    return copy


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise PagedKVError(f"{_LIBRARY} cannot be loaded; a CUDA device needs NVIDIA's driver: {error}") from error
    signatures = {
        "cuMemHostRegister_v2": (_pointer, _size, ctypes.c_uint),
        "cuMemHostUnregister": (_pointer,),
        "cuMemcpyAsync": (_pointer, _pointer, _size, _pointer),
        "cuGetErrorName": (ctypes.c_int, _pointer),
        "cuGetProcAddress_v2": (ctypes.c_char_p, _pointer, ctypes.c_int, ctypes.c_uint64, _pointer),
    }
    for name, arguments in signatures.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, ctypes.c_int
    return library


@cache
def _batch_call() -> Callable[..., int] | None:
    found, status = _pointer(), ctypes.c_int()
    code = _library().cuGetProcAddress_v2(
        b"cuMemcpyBatchAsync", ctypes.byref(found), _BATCH_SINCE, 0, ctypes.byref(status)
    )
    if code or not found.value:
        return None
    signature = (_pointer, _pointer, _pointer, _size, _pointer, _pointer, _size, _pointer, _pointer)
    return ctypes.CFUNCTYPE(ctypes.c_int, *signature)(found.value)


def _error(code: int) -> str:
    """Name of a driver error; empty for success."""
    if code == 0:
        return ""
    name = ctypes.c_char_p()
    _library().cuGetErrorName(code, ctypes.byref(name))
    return name.value.decode() if name.value else f"CUDA error {code}"
