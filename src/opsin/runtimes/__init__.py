"""Running a finished network: one interface, one file a runtime.

A runtime is opened as `open(folder, card, threads)` from a model folder, and runs as `base.Runtime` says.
"""

RUNTIMES = {
    "litert": "opsin.runtimes.litert:open_litert",
    "keras": "opsin.runtimes.keras:open_keras",
}
