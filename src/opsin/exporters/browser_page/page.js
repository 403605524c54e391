// A page that says what is in a picture: the network of this folder in ONNX Runtime Web, nothing leaves the browser.
import * as ort from "./ort/ort.wasm.min.mjs";
import { preprocess } from "./preprocess.js";

const TOP = 5;
const element = (id) => document.getElementById(id);

ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
// Several threads share memory, which browsers allow only where the server isolates the page.
if (!globalThis.crossOriginIsolated) ort.env.wasm.numThreads = 1;

async function load(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`Expected ${path} beside this page; the server answers ${answer.status}.`);
  return answer;
}

async function openClassifier() {
  const card = await (await load("opsin.json")).json();
  const network = await (await load(card.artefact.file)).arrayBuffer();
  const session = await ort.InferenceSession.create(network, { executionProviders: ["wasm"] });
  return { card, session };
}

// Upright, RGB, on the recipe's background, its values as they stand in the file.
async function decode(file, background) {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", imageOrientation: "from-image" });
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = `rgb(${background.join(" ")})`;
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const rgb = new Uint8Array(width * height * 3);
  for (let i = 0, at = 0; i < data.length; i += 4) {
    rgb[at++] = data[i];
    rgb[at++] = data[i + 1];
    rgb[at++] = data[i + 2];
  }
  return { width, height, channels: 3, data: rgb };
}

// The probability of each class.
async function classify({ card, session }, file) {
  const image = preprocess(await decode(file, card.preprocess.background), card.preprocess);
  const { input, output } = card.artefact;
  const shape = [1, image.height, image.width, image.channels];
  const feeds = { [input.name]: new ort.Tensor("float32", Float32Array.from(image.data), shape) };
  const results = await session.run(feeds, [output.name]);
  return Array.from(results[output.name].data);
}

function best(probabilities, names) {
  return probabilities.map((probability, i) => ({ name: names[i], probability }))
    .sort((one, other) => other.probability - one.probability).slice(0, TOP);
}

function show(found) {
  element("answers").replaceChildren(...found.map(({ name, probability }) => {
    const row = document.createElement("li");
    const label = document.createElement("span");
    const bar = document.createElement("meter");
    const share = document.createElement("output");
    label.textContent = name;
    bar.value = probability;
    share.textContent = `${(100 * probability).toFixed(1)} %`;
    row.dataset.probability = probability;
    row.append(label, bar, share);
    return row;
  }));
}

function say(text, isError = false) {
  element("status").textContent = text;
  element("status").classList.toggle("error", isError);
}

function preview(file) {
  const picture = element("picture");
  URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(file);
  picture.alt = file.name;
  picture.hidden = false;
}

async function answer(classifier, file) {
  say(`Looking at ${file.name} …`);
  element("answers").replaceChildren();
  try {
    preview(file);
    const start = performance.now();
    const probabilities = await classify(classifier, file);
    show(best(probabilities, classifier.card.class_names));
    say(`${file.name}, in ${Math.round(performance.now() - start)} ms.`);
  } catch (error) {
    element("picture").hidden = true;
    say(`Expected a picture that this browser can read; ${file.name} is none: ${error.message}`, true);
  }
}

// One at a time, the last one wins: who drops ten pictures waits for one.
function listen(classifier) {
  let waiting = null;
  let busy = false;
  const take = async (file) => {
    waiting = file ?? waiting;
    if (busy) return;
    busy = true;
    while (waiting) {
      const next = waiting;
      waiting = null;
      await answer(classifier, next);
    }
    busy = false;
  };
  const place = element("drop");
  element("file").addEventListener("change", (event) => take(event.target.files[0]));
  document.addEventListener("paste", (event) => take(event.clipboardData.files[0]));
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      place.classList.add("over");
    });
  }
  for (const name of ["dragleave", "drop"]) document.addEventListener(name, () => place.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer.files[0]);
  });
  element("file").disabled = false;
}

// `?check`: the golden pictures of this folder must give the probabilities that were written with them.
async function check(classifier) {
  const { pictures, probabilities } = await (await load("golden/probabilities.json")).json();
  let largest = 0;
  for (const [i, name] of pictures.entries()) {
    const found = await classify(classifier, await (await load(`golden/${name}`)).blob());
    largest = Math.max(largest, ...found.map((value, k) => Math.abs(value - probabilities[i][k])));
  }
  const { tolerance } = classifier.card.artefact;
  const holds = largest <= tolerance;
  document.body.dataset.check = JSON.stringify({ pictures: pictures.length, largest, tolerance, holds });
  const found = `${pictures.length} golden pictures, largest difference of a probability ${largest.toExponential(1)}`;
  say(`${holds ? "Checked" : "FAILED"}: ${found}, at most ${tolerance} is allowed.`, !holds);
}

async function start() {
  try {
    const classifier = await openClassifier();
    listen(classifier);
    say(`Ready: ${classifier.card.class_names.length} classes.`);
    if (new URLSearchParams(location.search).has("check")) await check(classifier);
  } catch (error) {
    say(`The network could not be opened: ${error.message}`, true);
  }
}

start();
