// Reading a file: the pixels as they are stored, and the EXIF and colour profile beside them.
//
// A browser turns a picture by its EXIF and converts it by its profile, each in its own way. So it
// gets the file without them, and the result has the profile of the original, as that of the command.
import {orientationOf} from "./exif.js";

const letters = (bytes, start, end) => String.fromCharCode(...bytes.subarray(start, end));
const viewOf = bytes => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function join(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let place = 0;
  for (const part of parts) { whole.set(part, place); place += part.length; }
  return whole;
}

// Each reader returns {exif, profile, notes, bare}: bare() gives the file without both, or with the
// profile if that is not for RGB, which leaves the conversion to the browser.
function readJpeg(bytes) {
  const view = viewOf(bytes), segments = [], profile = [];
  let place = 2, exif = null, hasMore = false;
  while (place + 4 <= bytes.length && bytes[place] === 0xff && bytes[place + 1] !== 0xda) {
    const kind = bytes[place + 1], end = place + 2 + view.getUint16(place + 2), start = place + 4;
    if (kind === 0xff) { place++; continue; }  // fill bytes
    if (kind === 0xe1 && letters(bytes, start, start + 6) === "Exif\0\0") exif ??= bytes.slice(start + 6, end);
    else if (kind === 0xe1 || kind === 0xed) hasMore = true;
    if (kind === 0xe2 && letters(bytes, start, start + 12) === "ICC_PROFILE\0") {
      profile[bytes[start + 12]] = bytes.subarray(start + 14, end);
    }
    segments.push([kind, bytes.subarray(place, end)]);
    place = end;
  }
  const without = (...kinds) => join([
    bytes.subarray(0, 2), ...segments.filter(([kind]) => !kinds.includes(kind)).map(([, data]) => data),
    bytes.subarray(place)]);
  return {
    exif, profile: profile.length ? join(Object.values(profile)) : null, notes: hasMore ? [MORE] : [],
    bare: keepsProfile => keepsProfile ? without(0xe1) : without(0xe1, 0xe2),
  };
}

async function readPng(bytes) {
  const view = viewOf(bytes), chunks = [], notes = [];
  let exif = null, profile = null;
  for (let place = 8; place + 12 <= bytes.length;) {
    const end = place + 12 + view.getUint32(place), kind = letters(bytes, place + 4, place + 8);
    const data = bytes.slice(place + 8, end - 4);
    if (kind === "IHDR" && data[8] === 16) notes.push("16 bits a channel became 8.");
    if (kind === "eXIf") exif = data;
    if (kind === "iCCP") profile = await inflate(data.subarray(data.indexOf(0) + 2));
    if (/[it]..t/.test(kind)) notes.push(MORE);
    chunks.push([kind, bytes.subarray(place, end)]);
    place = end;
  }
  if (chunks.some(([kind]) => kind === "cICP")) profile = null;  // it counts before a profile
  const isSaid = profile || chunks.some(([kind]) => kind === "sRGB");
  const colours = isSaid ? [] : ["cICP", "gAMA", "cHRM"];
  const kept = keepsProfile => ["IHDR", "PLTE", "tRNS", "IDAT", "IEND", ...(keepsProfile ? ["iCCP"] : colours)];
  return {
    exif, profile, notes,
    bare: keepsProfile => join([bytes.subarray(0, 8), ...chunks.filter(([kind]) =>
      kept(keepsProfile).includes(kind)).map(([, data]) => data)]),
  };
}

function readWebp(bytes) {
  const view = viewOf(bytes), chunks = [];
  let exif = null, profile = null, hasMore = false;
  for (let place = 12; place + 8 <= bytes.length;) {
    const size = view.getUint32(place + 4, true), kind = letters(bytes, place, place + 4);
    const data = bytes.slice(place + 8, place + 8 + size), end = place + 8 + size + size % 2;
    if (kind === "EXIF") exif = data;
    if (kind === "ICCP") profile = data;
    if (kind === "XMP ") hasMore = true;
    chunks.push([kind, bytes.slice(place, end)]);
    place = end;
  }
  const bare = keepsProfile => {
    const left = keepsProfile ? ["EXIF", "XMP "] : ["EXIF", "XMP ", "ICCP"];
    const kept = chunks.filter(([kind]) => !left.includes(kind));
    for (const [kind, data] of kept) if (kind === "VP8X") data[8] &= keepsProfile ? ~0x0c : ~0x2c;
    const whole = join([bytes.slice(0, 12), ...kept.map(([, data]) => data)]);
    viewOf(whole).setUint32(4, whole.length - 8, true);
    return whole;
  };
  return {exif, profile, notes: hasMore ? [MORE] : [], bare};
}

const MORE = "XMP, IPTC and texts are left out.";

async function inflate(data) {
  try {
    const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch { return null; }  // a damaged profile
}

async function read(bytes) {
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return readJpeg(bytes);
  if (letters(bytes, 1, 4) === "PNG") return readPng(bytes);
  if (letters(bytes, 8, 12) === "WEBP") return readWebp(bytes);
  return {exif: null, profile: null, notes: ["EXIF of such a file is not kept."], bare: () => bytes};
}

// Where the stored point (x, y) of w × h pixels is in the upright picture, as a canvas wants it.
const turns = (w, h) => [null, [1, 0, 0, 1, 0, 0], [-1, 0, 0, 1, w, 0], [-1, 0, 0, -1, w, h], [1, 0, 0, -1, 0, h],
                         [0, 1, 1, 0, 0, 0], [0, 1, -1, 0, h, 0], [0, -1, -1, 0, h, w], [0, -1, 1, 0, 0, w]];

export class Photo {
  static async open(file) {
    const bytes = new Uint8Array(await file.arrayBuffer()), photo = new Photo();
    const {exif, profile, notes, bare} = await read(bytes);
    const isForRgb = profile !== null && letters(profile, 16, 20) === "RGB ";
    photo.exif = exif && letters(exif, 0, 6) === "Exif\0\0" ? exif.slice(6) : exif;
    photo.profile = isForRgb ? profile : null;
    photo.notes = [...new Set(notes)];
    photo.orientation = orientationOf(photo.exif);
    photo.bitmap = await createImageBitmap(new Blob([bare(profile !== null && !isForRgb)], {type: file.type}));
    const {width, height} = photo.bitmap;
    [photo.width, photo.height] = photo.orientation > 4 ? [height, width] : [width, height];
    return photo;
  }

  // The rows of the upright picture as RGBA. Only these are copied out of the decoded picture.
  rows(top, bottom) {
    const canvas = new OffscreenCanvas(this.width, bottom - top);
    const context = canvas.getContext("2d", {willReadFrequently: true});
    const [a, b, c, d, e, f] = turns(this.bitmap.width, this.bitmap.height)[this.orientation];
    context.imageSmoothingEnabled = false;
    context.setTransform(a, b, c, d, e, f - top);
    context.drawImage(this.bitmap, 0, 0);
    return context.getImageData(0, 0, this.width, bottom - top).data;
  }

  close() { this.bitmap.close(); }
}
