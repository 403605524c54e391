"""A network that is quick to trace and has everything with a state: normalisation, dropout."""

import keras


def small(input_shape, class_count):
    layers = [keras.Input(input_shape), keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(8, 3, strides=2)]
    layers += [keras.layers.BatchNormalization(), keras.layers.ReLU(), keras.layers.Dropout(0.2)]
    return keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(class_count)])
