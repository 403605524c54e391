"""The same model as tutorials serve it, with `model.predict`: `python -m benchmarks.serving_fastapi RUN PORT`."""

import io
import sys
from pathlib import Path

import keras
import numpy as np
import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from PIL import Image


def serve(run: Path, port: int) -> None:
    network = keras.models.load_model(run / "model" / "model.keras")
    _, height, width, _ = network.input_shape
    app = FastAPI()

    def answer(content: bytes) -> dict:
        image = Image.open(io.BytesIO(content)).convert("RGB").resize((width, height))
        logits = network.predict(np.asarray(image, dtype=np.float32)[None], verbose=0)
        return {"class": int(np.argmax(logits))}

    @app.post("/predict")
    async def predict(request: Request) -> dict:
        return await run_in_threadpool(answer, await request.body())

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
