"""The same model in LitServe, in the runtime of Opsin: `python -m benchmarks.serving_litserve RUN PORT`."""

import base64
import sys
from pathlib import Path

import litserve
import numpy as np

from opsin.classifier import Classifier


class API(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.classifier = Classifier.open(Path(sys.argv[1]))

    def decode_request(self, request: dict) -> np.ndarray:
        return self.classifier.preprocess.read(base64.b64decode(request["image"]))

    def predict(self, image: np.ndarray) -> np.ndarray:
        return self.classifier.probabilities(self.classifier.run(image[None]).logits)[0]

    def encode_response(self, probabilities: np.ndarray) -> dict:
        return {"class": int(probabilities.argmax())}


if __name__ == "__main__":
    server = litserve.LitServer(API(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", generate_client_file=False)
