"""Workloads by name: what `workload:` of a scenario may say."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pagedkv.errors import PagedKVError
from pagedkv.workload import agent, azure, azure_conv, chat, code, controlled, kv_cache_tester, mooncake
from pagedkv.workload.sources import fetch, verify
from pagedkv.workload.table import RequestTable

GENERATORS: Mapping[str, Callable[..., RequestTable]] = {
    "code": code.generate,
    "azure_conv": azure_conv.generate,
    "chat": chat.generate,
    "agent": agent.generate,
    "rotation": controlled.rotation,
    "longdoc": controlled.longdoc,
    "fits": controlled.fits,
}

READERS: Mapping[str, Callable[..., RequestTable]] = {
    "azure": azure.read,
    "mooncake": mooncake.read,
    "kv_cache_tester": kv_cache_tester.read,
}


def build(
    workload_settings: Mapping[str, Any],
    data_dir: str | Path,
    sources: Mapping[str, Mapping[str, Any]] | None = None,
    download: bool = True,
) -> RequestTable:
    """The request table that `{generator: NAME, parameters …}` or `{source: NAME, parameters …}` describes.

    `sources` is the catalogue of config.yaml; `data_dir` and `download` are as in `sources.fetch`. Raises
    PagedKVError for an unknown name or parameter, a value out of range, and whatever a source's file has wrong.
    """
    parameters = dict(workload_settings)
    generator, source = parameters.pop("generator", None), parameters.pop("source", None)
    if (generator is None) == (source is None):
        raise PagedKVError("workload: must name either a generator or a source")
    if generator is not None:
        return _call(_named("generator", GENERATORS, generator), f"generator {generator!r}", parameters)
    spec = _named("source", sources or {}, source)
    return read_source(source, spec, fetch(source, spec, data_dir, download), parameters)


def read_source(name: str, spec: Mapping[str, Any], path: str | Path, parameters: Mapping[str, Any]) -> RequestTable:
    """The request table of an already fetched file, which is verified again.

    `spec` is the catalogue's entry; its `options` are parameters of the reader that `parameters` may override.
    """
    reader = _named("reader", READERS, spec.get("reader"))
    verify(name, spec, path)
    parameters = {**spec.get("options", {}), **parameters}
    table = _call(reader, f"source {name!r}", parameters, path)
    known = {key: spec[key] for key in ("file", "url", "sha256", "licence") if key in spec}
    return replace(table, name=name, origin={"source": name, **known, "parameters": parameters})


def _named(kind: str, table: Mapping[str, Any], name: Any) -> Any:
    if not isinstance(name, str) or name not in table:
        raise PagedKVError(f"workload: no {kind} {name!r}; there are {', '.join(table) or 'none'}")
    return table[name]


def _call(
    make: Callable[..., RequestTable], who: str, parameters: Mapping[str, Any], *args: str | Path
) -> RequestTable:
    known = [item.name for item in inspect.signature(make).parameters.values() if item.kind is item.KEYWORD_ONLY]
    for name in parameters:
        if name not in known:
            raise PagedKVError(f"workload: {who} has no parameter {name!r}; it takes {', '.join(known)}")
    return make(*args, **parameters)
