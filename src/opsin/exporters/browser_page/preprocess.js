// From a decoded picture to the network's input: opsin.images.preprocess in JavaScript, value for value.
// Pictures are {width, height, channels, data}: data is a Uint8 array, row by row, 0 to 255.

const sinc = (x) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

// Pillow's filters (libImaging/Resample.c): how far each reaches, and its weight at a distance.
const FILTERS = {
  box: [0.5, (x) => (x > -0.5 && x <= 0.5 ? 1 : 0)],
  bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
  bicubic: [2, (x) => {
    const d = Math.abs(x);
    if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
    return d < 2 ? (((d - 5) * d + 8) * d - 4) * -0.5 : 0;
  }],
  lanczos: [3, (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0)],
};

// Pillow sums in whole numbers with this many bits behind the point.
const BITS = 22;

// Which pixels each output is made of, and their weights. Pillow takes the ends of a region as 32-bit floats.
function weights(size, start, end, outputs, resample) {
  const [reach, weigh] = FILTERS[resample];
  const from = Math.fround(start);
  const scale = Math.fround(Math.fround(end) - from) / outputs;
  const shrink = Math.max(scale, 1);
  const support = reach * shrink;
  return Array.from({ length: outputs }, (_, output) => {
    const centre = from + (output + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(size, Math.trunc(centre + support + 0.5));
    const found = [];
    let sum = 0;
    for (let i = 0; i < last - first; i++) {
      found.push(weigh((i + first - centre + 0.5) * (1 / shrink)));
      sum += found[i];
    }
    const whole = found.map((weight) => {
      const scaled = (sum === 0 ? weight : weight / sum) * (1 << BITS);
      return Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    });
    return { first, weights: whole };
  });
}

// Each line of values, `stride` apart, becomes another one by the weights.
function resampleLines(source, target, lines, table, stride, targetStride) {
  for (const [from, to] of lines) {
    for (let output = 0; output < table.length; output++) {
      const { first, weights: given } = table[output];
      let sum = 1 << (BITS - 1);
      for (let i = 0; i < given.length; i++) sum += source[from + (first + i) * stride] * given[i];
      target[to + output * targetStride] = Math.min(255, Math.max(0, Math.floor(sum / (1 << BITS))));
    }
  }
}

function resampleAcross(picture, table) {
  const { height, channels } = picture;
  const width = table.length;
  const data = new Uint8Array(width * height * channels);
  const lines = [];
  for (let y = 0; y < height; y++) {
    for (let c = 0; c < channels; c++) lines.push([y * picture.width * channels + c, y * width * channels + c]);
  }
  resampleLines(picture.data, data, lines, table, channels, channels);
  return { width, height, channels, data };
}

function resampleDown(picture, table) {
  const row = picture.width * picture.channels;
  const data = new Uint8Array(row * table.length);
  const lines = Array.from({ length: row }, (_, i) => [i, i]);
  resampleLines(picture.data, data, lines, table, row, row);
  return { ...picture, height: table.length, data };
}

// Pillow's nearest neighbour (libImaging/Geometry.c) adds up positions step by step.
function positions(size, start, end, outputs) {
  const step = Math.fround(Math.fround(end) - Math.fround(start)) / outputs;
  let at = Math.fround(start) + step * 0.5;
  return Array.from({ length: outputs }, () => {
    const found = Math.min(size - 1, Math.trunc(at));
    at += step;
    return found;
  });
}

function takeNearest(picture, width, height, [left, top, right, bottom]) {
  const { channels } = picture;
  const columns = positions(picture.width, left, right, width);
  const rows = positions(picture.height, top, bottom, height);
  const data = new Uint8Array(width * height * channels);
  let at = 0;
  for (const y of rows) {
    for (const x of columns) {
      for (let c = 0; c < channels; c++) data[at++] = picture.data[(y * picture.width + x) * channels + c];
    }
  }
  return { width, height, channels, data };
}

// Scale a region (left, top, right, bottom, in pixels) of a picture to a size.
export function resize(picture, width, height, region, resample) {
  if (resample === "nearest") return takeNearest(picture, width, height, region);
  const [left, top, right, bottom] = region;
  const across = (found) => width === picture.width && left === 0 && right === width ? found
    : resampleAcross(found, weights(picture.width, left, right, width, resample));
  const down = (found) => height === picture.height && top === 0 && bottom === height ? found
    : resampleDown(found, weights(picture.height, top, bottom, height, resample));
  // The order that Pillow 13 takes; each pass rounds to whole values.
  const lost = picture.height - height;
  return lost > 0 && lost > 2 * (picture.width - width) ? across(down(picture)) : down(across(picture));
}

// Python rounds halves to the even neighbour.
function round(x) {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

function crop(picture, recipe) {
  const width = Math.min(picture.width, (picture.height * recipe.width) / recipe.height);
  const height = Math.min(picture.height, (picture.width * recipe.height) / recipe.width);
  const left = (picture.width - width) / 2;
  const top = (picture.height - height) / 2;
  return resize(picture, recipe.width, recipe.height, [left, top, left + width, top + height], recipe.resample);
}

function pad(picture, recipe) {
  const scale = Math.min(recipe.width / picture.width, recipe.height / picture.height);
  const width = Math.max(1, round(picture.width * scale));
  const height = Math.max(1, round(picture.height * scale));
  const left = Math.floor((recipe.width - width) / 2);
  const top = Math.floor((recipe.height - height) / 2);
  const inner = resize(picture, width, height, [0, 0, picture.width, picture.height], recipe.resample);
  const data = new Uint8Array(recipe.width * recipe.height * 3);
  for (let i = 0; i < data.length; i++) data[i] = recipe.background[i % 3];
  for (let y = 0; y < height; y++) {
    const row = inner.data.subarray(y * width * 3, (y + 1) * width * 3);
    data.set(row, ((y + top) * recipe.width + left) * 3);
  }
  return { width: recipe.width, height: recipe.height, channels: 3, data };
}

function stretch(picture, recipe) {
  const whole = [0, 0, picture.width, picture.height];
  return resize(picture, recipe.width, recipe.height, whole, recipe.resample);
}

const FITS = { crop, pad, stretch };

// Pillow's "L": ITU-R BT.601 luma in 16-bit fractions.
const toGray = (r, g, b) => [(r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16];

// Pillow's "HSV" computes in 32-bit floats.
function toHsv(r, g, b) {
  const high = Math.max(r, g, b);
  const span = high - Math.min(r, g, b);
  if (span === 0) return [0, 0, high];
  const [rc, gc, bc] = [r, g, b].map((value) => Math.fround((high - value) / span));
  let hue = bc - gc;
  if (r !== high) hue = g === high ? 2 + rc - bc : 4 + gc - rc;
  const turn = Math.fround((Math.fround(hue) / 6 + 1) % 1);
  return [Math.trunc(turn * 255), Math.trunc(Math.fround(span / high) * 255), high];
}

// IEC 61966-2-1 and CIE 15:2004, as opsin.images.color has them: relative to D65.
const LINEAR = Array.from({ length: 256 }, (_, i) =>
  i / 255 > 0.04045 ? ((i / 255 + 0.055) / 1.055) ** 2.4 : i / 255 / 12.92);
const TO_XYZ = [
  [0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047],
  [0.2126729, 0.7151522, 0.072175],
  [0.0193339 / 1.08883, 0.119192 / 1.08883, 0.9503041 / 1.08883],
];
const curve = (t) => (t > (6 / 29) ** 3 ? Math.cbrt(t) : t * (841 / 108) + 4 / 29);

function toLab(r, g, b) {
  const light = [LINEAR[r], LINEAR[g], LINEAR[b]];
  const [x, y, z] = TO_XYZ.map((row) => curve(row[0] * light[0] + row[1] * light[1] + row[2] * light[2]));
  const lab = [(116 * y - 16) * 2.55, 500 * (x - y) + 128, 200 * (y - z) + 128];
  return lab.map((value) => Math.min(255, Math.max(0, round(value))));
}

const COLORS = { gray: [1, toGray], hsv: [3, toHsv], lab: [3, toLab] };

function convert(picture, color) {
  if (color === "rgb") return picture;
  const [channels, pixel] = COLORS[color];
  const data = new Uint8Array(picture.width * picture.height * channels);
  for (let i = 0, at = 0; i < picture.data.length; i += 3, at += channels) {
    data.set(pixel(picture.data[i], picture.data[i + 1], picture.data[i + 2]), at);
  }
  return { ...picture, channels, data };
}

// The whole road: an upright RGB picture becomes the network's input by the recipe of opsin.json.
export function preprocess(picture, recipe) {
  return convert(FITS[recipe.fit](picture, recipe), recipe.color);
}
