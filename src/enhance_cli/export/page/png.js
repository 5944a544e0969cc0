// Writing a PNG row by row: what is finished is compressed, so that a large result needs little memory.
const TABLE = Uint32Array.from({length: 256}, (_, index) => {
  for (let bit = 0; bit < 8; bit++) index = index & 1 ? 0xedb88320 ^ (index >>> 1) : index >>> 1;
  return index;
});

function chunk(kind, data) {
  const made = new Uint8Array(12 + data.length), view = new DataView(made.buffer);
  view.setUint32(0, data.length);
  made.set(Uint8Array.from(kind, letter => letter.charCodeAt(0)), 4);
  made.set(data, 8);
  let sum = ~0;
  for (let place = 4; place < made.length - 4; place++) sum = TABLE[(sum ^ made[place]) & 255] ^ (sum >>> 8);
  view.setUint32(made.length - 4, ~sum);
  return made;
}

async function compress(data) {
  const stream = new Blob([data]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

export class PngWriter {
  // `exif` and `profile` are bytes, or null.
  constructor(width, height, exif, profile) {
    const header = new DataView(new ArrayBuffer(13));
    header.setUint32(0, width);
    header.setUint32(4, height);
    header.setUint16(8, 0x0802);  // 8 bits, RGB
    this.parts = [new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]), chunk("IHDR", new Uint8Array(header.buffer))];
    this.about = {exif, profile};
    this.above = new Uint8Array(3 * width);
    const {readable, writable} = new CompressionStream("deflate");
    this.writer = writable.getWriter();
    this.collecting = this.collect(readable.getReader());
  }

  async collect(reader) {
    const {exif, profile} = this.about;
    if (profile) {
      const name = new TextEncoder().encode("ICC Profile\0\0"), packed = await compress(profile);
      this.parts.push(chunk("iCCP", Uint8Array.from([...name, ...packed])));
    }
    if (exif) this.parts.push(chunk("eXIf", exif));
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      this.parts.push(new Blob([chunk("IDAT", part.value)]));  // a browser may keep it on the disk
    }
    this.parts.push(chunk("IEND", new Uint8Array()));
  }

  // Add whole rows of RGB. Each byte is stored less the mean of those to its left and above.
  async write(rows) {
    const length = this.above.length, count = rows.length / length;
    const filtered = new Uint8Array(count * (length + 1));
    for (let row = 0, to = 0; row < count; row++) {
      const line = rows.subarray(row * length, (row + 1) * length), above = this.above;
      filtered[to++] = 3;
      for (let x = 0; x < length; x++) {
        filtered[to++] = line[x] - (((x < 3 ? 0 : line[x - 3]) + above[x]) >> 1);
      }
      this.above = line;
    }
    this.above = this.above.slice();
    await this.writer.write(filtered);
  }

  async finish() {
    await this.writer.close();
    await this.collecting;
    return new Blob(this.parts, {type: "image/png"});
  }
}
