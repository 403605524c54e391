"""An HTTP server for finished models: pictures in, names out; TensorFlow Serving's REST API; no TensorFlow."""
