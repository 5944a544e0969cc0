// Adapting EXIF to the enlarged picture, in place: values that count pixels, and the orientation.
// It changes what `enhance upscale` changes, docs/decisions/0010; makers' notes stay where they are.
const SHORT = 3, LONG = 4, RATIONAL = 5;
const SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4};
const ORIENTATION = 274, EXIF = 0x8769, GPS = 0x8825, INTEROP = 0xa005;
const LAYOUT = [258, 259, 262, 273, 277, 278, 279, 284, 317, 322, 323, 324, 325, 330, 347,
                512, 513, 514, 515, 516, 517, 518, 519, 520, 521];

class Block {
  constructor(bytes) {
    this.data = bytes.slice();
    this.view = new DataView(this.data.buffer);
    this.isLittle = this.data[0] === 0x49;
    const mark = String.fromCharCode(this.data[0], this.data[1]);
    if (!["II", "MM"].includes(mark) || this.short(2) !== 42) throw RangeError("no EXIF");
    this.main = this.lines(this.long(4));
  }

  short(place) { return this.view.getUint16(place, this.isLittle); }
  long(place) { return this.view.getUint32(place, this.isLittle); }

  // The entries of a directory by tag; the first one where a tag occurs twice.
  lines(start) {
    const count = this.short(start), places = new Map();
    if (start + 2 + 12 * count > this.data.length) throw RangeError("a damaged directory");
    for (let line = start + 2; line < start + 2 + 12 * count; line += 12) {
      if (!places.has(this.short(line))) places.set(this.short(line), line);
    }
    return {start, count, places};
  }

  inner(outer, tag) {
    if (!outer?.places.has(tag)) return null;
    try {
      return this.lines(this.numbers(outer, tag)[0]);
    } catch (error) {
      if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
      this.drop(outer, tag);
      return null;
    }
  }

  // Where the values of a tag lie, their type and their count; null if they are beyond the end.
  find(lines, tag) {
    const line = lines.places.get(tag);
    if (line === undefined) return null;
    const kind = this.short(line + 2), count = this.long(line + 4), length = (SIZES[kind] ?? 0) * count;
    const place = length > 4 ? this.long(line + 8) : line + 8;
    return length && place + length <= this.data.length ? {line, kind, count, place} : null;
  }

  // The values of whole numbers and fractions; fractions as [numerator, denominator].
  numbers(lines, tag) {
    const found = this.find(lines, tag);
    if (!found) return [];
    const {kind, count, place} = found, read = {
      [SHORT]: index => this.short(place + 2 * index),
      [LONG]: index => this.long(place + 4 * index),
      13: index => this.long(place + 4 * index),
      [RATIONAL]: index => [this.long(place + 8 * index), this.long(place + 8 * index + 4)],
    }[kind];
    return read ? Array.from({length: count}, (_, index) => read(index)) : [];
  }

  // Replace the values of a tag by as many; whole numbers that a SHORT cannot hold become LONG.
  put(lines, tag, kind, numbers) {
    const line = lines.places.get(tag), old = this.find(lines, tag);
    if (kind !== RATIONAL && numbers.some(number => number < 0 || number > (kind === SHORT ? 0xffff : 0xffffffff))) {
      kind = LONG;
      numbers = numbers.map(number => Math.min(Math.max(number, 0), 0xffffffff));
    }
    const length = SIZES[kind] * numbers.length;
    let place = line + 8;
    if (length > 4) {
      place = this.long(line + 8);
      if (!old || SIZES[old.kind] * old.count < length || place < 8) place = this.append(line, length);
    } else {
      this.view.setUint32(place, 0);
    }
    this.view.setUint16(line + 2, kind, this.isLittle);
    this.view.setUint32(line + 4, numbers.length, this.isLittle);
    for (const [index, number] of numbers.entries()) {
      if (kind === SHORT) this.view.setUint16(place + 2 * index, number, this.isLittle);
      if (kind === LONG) this.view.setUint32(place + 4 * index, number, this.isLittle);
      if (kind === RATIONAL) {
        this.view.setUint32(place + 8 * index, number[0], this.isLittle);
        this.view.setUint32(place + 8 * index + 4, number[1], this.isLittle);
      }
    }
  }

  append(line, length) {
    const place = this.data.length + this.data.length % 2, longer = new Uint8Array(place + length);
    longer.set(this.data);
    this.data = longer;
    this.view = new DataView(longer.buffer);
    this.view.setUint32(line + 8, place, this.isLittle);
    return place;
  }

  drop(lines, tag) {
    const line = lines.places.get(tag), end = lines.start + 2 + 12 * lines.count;
    lines.places.delete(tag);
    this.data.copyWithin(line, line + 12, end + 4);
    this.data.fill(0, end - 8, end + 4);
    this.view.setUint16(lines.start, --lines.count, this.isLittle);
    for (const [other, place] of lines.places) if (place > line) lines.places.set(other, place - 12);
  }
}

// The orientation that EXIF asks for, 1 to 8.
export function orientationOf(exif) {
  try {
    const block = new Block(exif ?? new Uint8Array()), [found] = block.numbers(block.main, ORIENTATION);
    return found >= 1 && found <= 8 ? found : 1;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return 1;
  }
}

// The EXIF of the result; null if it is damaged. `made` is [width, height].
export function fitExif(exif, scale, made) {
  const orientation = orientationOf(exif);
  try {
    const block = new Block(exif);
    for (const tag of LAYOUT) if (block.main.places.has(tag)) block.drop(block.main, tag);
    if (block.main.places.has(ORIENTATION)) block.put(block.main, ORIENTATION, SHORT, [1]);
    if (orientation !== 1) {  // the thumbnail is not turned
      block.view.setUint32(block.main.start + 2 + 12 * block.main.count, 0);
    }
    const inner = block.inner(block.main, EXIF), related = block.inner(inner, INTEROP);
    block.inner(block.main, GPS);
    for (const lines of [block.main, inner, related]) if (lines) fitLines(block, lines, orientation, scale, made);
    return block.data;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return null;
  }
}

function fitLines(block, lines, orientation, scale, made) {
  for (const tags of [[256, 257], [0xa002, 0xa003]]) {
    for (const [index, tag] of tags.entries()) if (lines.places.has(tag)) block.put(lines, tag, LONG, [made[index]]);
  }
  fitPair(block, lines, [0x1001, 0x1002], orientation, scale);
  fitPair(block, lines, [282, 283], orientation, 1);  // of a print, which grows with the picture
  for (const tags of [[0xa20e, 0xa20f], [0x920e, 0x920f]]) fitPair(block, lines, tags, orientation, scale);
  for (const tag of [0x9214, 0xa214]) {
    const numbers = block.numbers(lines, tag);
    if (numbers.length && !Array.isArray(numbers[0])) {
      block.put(lines, tag, block.find(lines, tag).kind, fitSubject(numbers, orientation, scale, made));
    }
  }
}

// Scale two values, for width and height, and exchange them where the sides are exchanged.
function fitPair(block, lines, tags, orientation, scale) {
  const found = tags.map(tag => block.numbers(lines, tag)[0]), isSwapped = orientation > 4;
  const isThere = found.map(value => value !== undefined && value[1] !== 0);
  if (!isThere.includes(true) || (isSwapped && isThere.includes(false))) {
    for (const tag of tags) if (isSwapped && isThere.includes(true) && lines.places.has(tag)) block.drop(lines, tag);
    return;
  }
  for (const [index, tag] of tags.entries()) {
    const value = found[isSwapped ? 1 - index : index];
    if (!isThere[index]) continue;
    const kind = block.find(lines, tag).kind;
    if (kind === RATIONAL) {
      block.put(lines, tag, kind, [reduced(...(Array.isArray(value) ? value : [value, 1]), scale)]);
    } else if (!Array.isArray(value)) {
      block.put(lines, tag, kind, [value * scale]);
    }
  }
}

function reduced(above, below, scale) {
  let [a, b] = [above * scale, below];
  while (b) [a, b] = [b, a % b];
  const parts = [above * scale / a, below / a];
  return parts[0] > 0xffffffff ? [above, below / scale] : parts;
}

// A point, then a diameter or a width and a height, in pixels of the result.
function fitSubject(numbers, orientation, scale, made) {
  const isSwapped = orientation > 4, [x, y] = isSwapped ? [numbers[1], numbers[0]] : numbers;
  const place = [[2, 3, 6, 7].includes(orientation) ? made[0] - scale * x : scale * x,
                 [3, 4, 7, 8].includes(orientation) ? made[1] - scale * y : scale * y];
  const sides = numbers.slice(2).map(side => scale * side);
  return [...place, ...(isSwapped && sides.length === 2 ? sides.reverse() : sides)].map(Math.round);
}
