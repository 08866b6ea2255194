"""The registries of OccStudio: children of mmengine's, so that `type='mmdet.ResNeXt'` of an installed mmdet
works too.
"""

from __future__ import annotations

import inspect
from typing import Any

from mmengine import registry as mm
from mmengine.registry import Registry, build_from_cfg, build_model_from_cfg

from .errors import ConfigError, closest

SCOPE = "mmdet3d_plugin"


def check_arguments(cfg: dict, registry: Registry) -> None:
    """Refuse a key that the class does not take, before the class sees it, and name the nearest valid key."""
    if not isinstance(cfg, dict) or "type" not in cfg:
        return
    kind = registry.get(cfg["type"]) if isinstance(cfg["type"], str) else cfg["type"]
    if kind is None:
        known = {name for reg in (registry, registry.parent) if reg is not None for name in reg.module_dict}
        raise ConfigError(
            f"no {registry.name} is registered under the name {cfg['type']!r}",
            expected=closest(str(cfg["type"]), known),
        )
    if not inspect.isclass(kind):
        return
    parameters = inspect.signature(kind.__init__).parameters.values()
    ours = kind.__module__.startswith(f"{SCOPE}.")
    if not ours and any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    valid = [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)][1:]
    for key in cfg:
        if key not in valid and key not in ("type", "_scope_"):
            raise ConfigError(
                f"{kind.__name__} takes no argument {key!r}",
                found=f"{key}={cfg[key]!r}",
                expected=closest(key, valid),
            )


def build(cfg: dict, registry: Registry, *args: Any, **kwargs: Any) -> Any:
    """Build an object of a registry; a misspelt key or type is a :class:`ConfigError` that names the closest
    one.
    """
    check_arguments(cfg, registry)
    return build_from_cfg(cfg, registry, *args, **kwargs)


def _build_model(cfg: dict, registry: Registry, *args: Any, **kwargs: Any) -> Any:
    check_arguments(cfg, registry)
    return build_model_from_cfg(cfg, registry, *args, **kwargs)


def _child(name: str, parent: Registry, location: str, build_func: Any = build) -> Registry:
    return Registry(name, parent=parent, scope=SCOPE, locations=[f"{SCOPE}.{location}"], build_func=build_func)


MODELS = _child("model", mm.MODELS, "models", _build_model)
DATASETS = _child("dataset", mm.DATASETS, "datasets")
TRANSFORMS = _child("transform", mm.TRANSFORMS, "datasets")
DATA_SAMPLERS = _child("data sampler", mm.DATA_SAMPLERS, "datasets")
METRICS = _child("metric", mm.METRICS, "engine")
EVALUATORS = _child("evaluator", mm.EVALUATOR, "engine")
HOOKS = _child("hook", mm.HOOKS, "engine")
LOOPS = _child("loop", mm.LOOPS, "engine")
OPTIM_WRAPPER_CONSTRUCTORS = _child("optimizer wrapper constructor", mm.OPTIM_WRAPPER_CONSTRUCTORS, "engine")
PARAM_SCHEDULERS = _child("parameter scheduler", mm.PARAM_SCHEDULERS, "engine")
OPTIMIZERS = _child("optimizer", mm.OPTIMIZERS, "engine")
OPTIM_WRAPPERS = _child("optimizer wrapper", mm.OPTIM_WRAPPERS, "engine")
