"""The types of tasks: their names, old ones too, and the properties of those that the service knows.

A property's kind is a word of `reading`; with `!` it has to be there.
"""

from collections.abc import Mapping
from typing import Final

Properties = Mapping[str, str]

_PREFIX: Final = "io.kestra.plugin."
_OLD_PREFIXES: Final = {
    "io.kestra.core.tasks.flows.": "core.flow.",
    "io.kestra.core.tasks.executions.": "core.execution.",
    "io.kestra.core.tasks.debugs.": "core.debug.",
    "io.kestra.core.tasks.log.": "core.log.",
    "io.kestra.core.tasks.outputs.": "core.output.",
    "io.kestra.core.tasks.storages.": "core.storage.",
    "io.kestra.core.models.triggers.types.": "core.trigger.",
    "io.kestra.core.models.conditions.types.": "core.condition.",
    "io.kestra.core.runner.": "core.runner.",
    "io.kestra.plugin.fs.http.": "core.http.",
}
_OLD_NAMES: Final = {
    "core.flow.WaitFor": "core.flow.LoopUntil",
    "core.flow.Flow": "core.flow.Subflow",
    "core.flow.Worker": "core.flow.WorkingDirectory",
}
_OURS: Final = ("io.kestra.", "core.", "scripts.")


def short_name(type: str) -> str:
    """The name of a type without its prefix, the present one of an old name."""
    for old, new in _OLD_PREFIXES.items():
        if type.startswith(old):
            type = new + type.removeprefix(old)
    type = type.removeprefix(_PREFIX)
    if type.startswith("core.condition."):
        type = type.removesuffix("Condition")
    return _OLD_NAMES.get(type, type)


def is_reserved(type: str) -> bool:
    """Whether a (short) name cannot be that of somebody's task definition."""
    return type.startswith(_OURS)


COMMON: Final[Properties] = {
    "id": "id!", "type": "text!", "description": "any", "disabled": "flag", "runIf": "any", "allowFailure": "flag",
    "allowWarning": "flag", "timeout": "duration", "retry": "any",
    "logLevel": "level",
}  # fmt: skip
UNSUPPORTED: Final = ("workerGroup", "taskCache", "pluginDefaultsRef", "version", "logToFile")
_BLOCKS: Final[Properties] = {"errors": "tasks", "finally": "tasks"}
_SUBFLOW: Final[Properties] = {
    "namespace": "text!", "flowId": "text!", "revision": "integer", "inputs": "map", "labels": "labels",
    "wait": "boolean",
    "transmitFailed": "boolean", "inheritLabels": "boolean", "scheduleDate": "text", "restartBehavior": "restart",
    "outputs": "map",
}  # fmt: skip
_FILES: Final[Properties] = {"inputFiles": "any", "outputFiles": "texts", "namespaceFiles": "namespaceFiles"}
_SCRIPT: Final[Properties] = {
    **_FILES, "beforeCommands": "texts", "env": "map", "interpreter": "texts", "failFast": "boolean",
    "taskRunner": "runner", "warningOnStdErr": "boolean",
}  # fmt: skip

FLOWABLES: Final[Mapping[str, Properties]] = {
    "core.flow.Sequential": {"tasks": "tasks!", **_BLOCKS},
    "core.flow.Parallel": {"tasks": "tasks!", "concurrent": "integer", **_BLOCKS},
    "core.flow.Switch": {"value": "scalar!", "cases": "cases", "defaults": "tasks", **_BLOCKS},
    "core.flow.If": {"condition": "scalar!", "then": "tasks!", "else": "tasks", **_BLOCKS},
    "core.flow.ForEach": {"values": "any!", "concurrencyLimit": "integer", "tasks": "tasks!", **_BLOCKS},
    "core.flow.EachSequential": {"value": "any!", "tasks": "tasks!", **_BLOCKS},
    "core.flow.EachParallel": {"value": "any!", "concurrent": "integer", "tasks": "tasks!", **_BLOCKS},
    "core.flow.AllowFailure": {"tasks": "tasks!", **_BLOCKS},
    "core.flow.Dag": {"tasks": "dag!", "concurrent": "integer", **_BLOCKS},
    "core.flow.LoopUntil": {
        "tasks": "tasks!", "condition": "scalar!", "failOnMaxReached": "boolean", "checkFrequency": "checkFrequency",
        **_BLOCKS,
    },
    "core.flow.Pause": {
        "pauseDuration": "duration", "delay": "duration", "behavior": "text", "onPause": "oneOrMore",
        "onResume": "inputs",
        "tasks": "tasks", **_BLOCKS,
    },
    "core.flow.WorkingDirectory": {"tasks": "tasks!", **_FILES, "cache": "cache", **_BLOCKS},
    "core.flow.Template": {"namespace": "text!", "templateId": "text!", "args": "map", **_BLOCKS},
    "core.flow.StartAsync": {"taskStart": "tasks", "onStarted": "tasks", "onFailed": "tasks", **_BLOCKS},
    "core.flow.ForEachItem": {"items": "text!", "batch": "batch", **_SUBFLOW, **_BLOCKS},
}  # fmt: skip

INLINE: Final[Mapping[str, Properties]] = {
    "core.log.Log": {"message": "message!", "level": "level"},
    "core.debug.Return": {"format": "scalar"},
    "core.debug.Echo": {"format": "scalar", "level": "level"},
    "core.execution.Fail": {"condition": "scalar", "errorMessage": "text"},
    "core.execution.Exit": {"state": "exit"},
    "core.execution.Assert": {"conditions": "texts!", "errorMessage": "text"},
    "core.execution.SetVariables": {"variables": "map!", "overwrite": "boolean"},
    "core.execution.UnsetVariables": {"variables": "texts!", "ignoreMissing": "boolean"},
    "core.output.OutputValues": {"values": "map!"},
    "core.flow.Sleep": {"duration": "duration!"},
    "core.flow.Subflow": _SUBFLOW,
}

EXECUTED: Final[Mapping[str, Properties]] = {
    "core.http.Request": {
        "uri": "text!", "method": "text", "body": "any", "formData": "map", "params": "map", "headers": "map",
        "contentType": "text", "encryptBody": "boolean", "options": "map", "allowFailed": "boolean",
    },
    "core.storage.LocalFiles": {"inputs": "any", "outputs": "texts"},
    "scripts.shell.Commands": {"commands": "texts!", **_SCRIPT},
    "scripts.shell.Script": {"script": "text!", **_SCRIPT},
    "scripts.node.Script": {"script": "text!", **_SCRIPT},
}  # fmt: skip

KNOWN: Final[Mapping[str, Properties]] = {**FLOWABLES, **INLINE, **EXECUTED}

# The leaves of a working directory are done one by one where the directory is: nothing that waits for others.
NOT_IN_A_DIRECTORY: Final = (*FLOWABLES, "core.flow.Subflow")


def kind_of(type: str) -> str:
    """What a task of this (short) type is: the last part of its name for what the server does itself, else `task`."""
    return type.rpartition(".")[2] if type in FLOWABLES or type in INLINE else "task"
