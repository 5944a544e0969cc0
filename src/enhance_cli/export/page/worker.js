// Runs the network over a photograph, tile by tile, beside the page, which stays responsive.
import {fitExif} from "./exif.js";
import {Photo} from "./photo.js";
import {PngWriter} from "./png.js";

const SHOWN = 2 ** 25;  // pixels of a result that the page shows as it is; larger ones are reduced
const network = await (await fetch("network.json")).json();
const engine = {session: null, computes: "", ort: null, tile: network.tile};

async function open() {
  if (await navigator.gpu?.requestAdapter().catch(() => null)) {
    try {
      return await openWith("ort.webgpu.min.mjs", ["webgpu"], "the graphics card");
    } catch (error) { console.info(`WebGPU does not compute this network: ${error.message}`); }
  }
  const threads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, 16) : 1;
  await openWith("ort.wasm.min.mjs", ["wasm"], threads > 1 ? `${threads} threads` : "one thread", threads);
  if (navigator.deviceMemory >= 8) engine.tile = 2 * network.tile;  // less of it is computed twice
}

async function openWith(library, executionProviders, computes, threads = 1) {
  engine.ort = await import(`./ort/${library}`);
  Object.assign(engine.ort.env.wasm, {numThreads: threads, wasmPaths: new URL("ort/", import.meta.url).href});
  engine.ort.env.logLevel = "error";
  engine.session = await engine.ort.InferenceSession.create("network.onnx", {executionProviders, logSeverityLevel: 3});
  engine.computes = computes;
  await prove();
}

// Compare a small result with that of PyTorch, which came with the network.
async function prove() {
  const [image, expected] = [network.proof.image, network.proof.enlarged].map(
    data => Uint8Array.from(atob(data), letter => letter.charCodeAt(0)));
  const side = network.proof.side, found = await run(image, side, side);
  const apart = found.reduce((most, level, place) => Math.max(most, Math.abs(level - expected[place])), 0);
  if (apart > 1) throw Error(`its results are ${apart} levels away from PyTorch's`);
}

async function run(image, height, width) {
  const {enlarged} = await engine.session.run({image: new engine.ort.Tensor("uint8", image, [1, height, width, 3])});
  return enlarged.data;
}

// Divide an axis into cores of nearly equal size, and say what each reads: itself and the halo,
// which ends where the picture ends. So the tiles equal the whole picture.
function split(size) {
  const count = Math.ceil(size / engine.tile), edge = index => Math.floor(size * index / count);
  return Array.from({length: count}, (_, index) => {
    const start = edge(index), stop = edge(index + 1);
    return {start, stop, from: Math.max(0, start - network.halo), to: Math.min(size, stop + network.halo)};
  });
}

// Cut columns out of rows of RGBA, as RGB; what is transparent gets a white ground.
function cut(rgba, width, height, {from, to}, seen) {
  const rgb = new Uint8Array(3 * height * (to - from));
  for (let row = 0, place = 0; row < height; row++) {
    for (let at = 4 * (row * width + from); at < 4 * (row * width + to); at += 4) {
      const alpha = rgba[at + 3];
      if (alpha < 255) seen.isTransparent = true;
      for (let channel = 0; channel < 3; channel++) {
        const level = rgba[at + channel];
        rgb[place++] = alpha < 255 ? Math.round(255 + (level - 255) * alpha / 255) : level;
      }
    }
  }
  return rgb;
}

async function enlargeRow(photo, row, seen, onTile) {
  const {width} = photo, {scale} = network, height = row.to - row.from, rgba = photo.rows(row.from, row.to);
  const length = 3 * scale * width, band = new Uint8Array(scale * (row.stop - row.start) * length);
  for (const column of split(width)) {
    const across = column.to - column.from;
    const enlarged = await run(cut(rgba, width, height, column, seen), height, across);
    for (let y = 0; y < band.length / length; y++) {
      const from = 3 * scale * ((scale * (row.start - row.from) + y) * across + column.start - column.from);
      band.set(enlarged.subarray(from, from + 3 * scale * (column.stop - column.start)), y * length + 3 * scale * column.start);
    }
    onTile();
  }
  return band;
}

// A smaller copy to show: the mean of blocks of `factor` × `factor` pixels, from whole rows.
class Preview {
  constructor(width, height, factor, profile) {
    Object.assign(this, {width, factor, across: Math.floor(width / factor), row: 0});
    this.sums = new Float64Array(3 * this.across);
    this.writer = new PngWriter(this.across, Math.floor(height / factor), null, profile);
  }

  async write(rows) {
    for (let start = 0; start < rows.length; start += 3 * this.width) {
      for (let x = 0; x < this.across * this.factor; x++) {
        for (let channel = 0; channel < 3; channel++) {
          this.sums[3 * Math.floor(x / this.factor) + channel] += rows[start + 3 * x + channel];
        }
      }
      if (++this.row % this.factor) continue;
      await this.writer.write(Uint8Array.from(this.sums, sum => Math.round(sum / this.factor ** 2)));
      this.sums.fill(0);
    }
  }
}

// The original to show: browsers do not agree on turning it, so one that is turned is written anew.
async function original(photo, file, seen) {
  if (photo.orientation === 1) return file;
  const writer = new PngWriter(photo.width, photo.height, null, photo.profile);
  for (const {start, stop} of split(photo.height)) {
    await writer.write(cut(photo.rows(start, stop), photo.width, stop - start, {from: 0, to: photo.width}, seen));
  }
  return writer.finish();
}

async function enlarge(file) {
  const started = performance.now();
  let photo;
  try { photo = await Photo.open(file); } catch {
    throw Error(`${file.name} is no picture that this browser can read.`);
  }
  const {scale} = network, [width, height] = [scale * photo.width, scale * photo.height];
  const exif = photo.exif && fitExif(photo.exif, scale, [width, height]), seen = {};
  const writer = new PngWriter(width, height, exif, photo.profile);
  const factor = Math.ceil(Math.sqrt(width * height / SHOWN));
  const preview = factor > 1 ? new Preview(width, height, factor, photo.profile) : null;
  const rows = split(photo.height), tiles = rows.length * split(photo.width).length;
  let done = 0;
  for (const row of rows) {
    const band = await enlargeRow(photo, row, seen, () => postMessage({kind: "progress", share: ++done / tiles}));
    await writer.write(band);
    await preview?.write(band);
  }
  const before = await original(photo, file, seen);
  photo.close();
  const notes = [...photo.notes, ...(seen.isTransparent ? ["What was transparent is white."] : []),
                 ...(photo.exif && !exif ? ["The EXIF is damaged and left out."] : [])];
  postMessage({
    kind: "done", png: await writer.finish(), preview: await preview?.writer.finish(), before,
    width, height, notes, computes: engine.computes, seconds: (performance.now() - started) / 1000,
  });
}

const explain = error => ({kind: "failed", text: /memory|allocat/i.test(error.message)
  ? "There is not enough memory for this photograph." : error.message});

onmessage = ({data}) => enlarge(data).catch(error => postMessage(explain(error)));
open().then(() => postMessage({kind: "ready", computes: engine.computes}), error => postMessage(explain(error)));
