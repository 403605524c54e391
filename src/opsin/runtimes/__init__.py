"""Running a finished network: one interface, one file a runtime."""

RUNTIMES = {
    "litert": "opsin.runtimes.litert:LiteRTRuntime",
    "keras": "opsin.runtimes.keras:open_keras",
}
