// SPDX-License-Identifier: Apache-2.0
// Makes screenshots small: a PNG of 8-bit RGB or RGBA becomes one of 256 colours, the most frequent ones; pixels of any
// other take the nearest.
import {deflateSync, inflateSync} from 'node:zlib';

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; ++bit) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

function chunks(png) {
  const out = [];
  for (let at = SIGNATURE.length; at < png.length;) {
    const size = png.readUInt32BE(at);
    out.push({type: png.toString('latin1', at + 4, at + 8), data: png.subarray(at + 8, at + 8 + size)});
    at += 12 + size;
  }
  return out;
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}

// PNG (third edition) 9.2: each byte was predicted by the one to the left (a), above (b) and above left (c).
function unfilter(raw, width, height, depth) {
  const stride = width * depth;
  const out = Buffer.alloc(stride * height);
  for (let y = 0; y < height; ++y) {
    const filter = raw[y * (stride + 1)];
    for (let x = 0; x < stride; ++x) {
      const a = x < depth ? 0 : out[y * stride + x - depth];
      const b = y === 0 ? 0 : out[(y - 1) * stride + x];
      const c = x < depth || y === 0 ? 0 : out[(y - 1) * stride + x - depth];
      const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
      const predicted = [0, a, b, (a + b) >> 1, pa <= pb && pa <= pc ? a : pb <= pc ? b : c][filter];
      out[y * stride + x] = raw[y * (stride + 1) + 1 + x] + predicted;
    }
  }
  return out;
}

export function toPalette(png) {
  const parts = chunks(png);
  const header = parts.find(part => part.type === 'IHDR').data;
  const [width, height, depth] = [header.readUInt32BE(0), header.readUInt32BE(4), header[9] === 6 ? 4 : 3];
  const pixels = unfilter(inflateSync(Buffer.concat(parts.filter(part => part.type === 'IDAT').map(part => part.data))), width, height, depth);
  const counts = new Map();
  const colour = at => pixels.readUIntBE(at * depth, 3);
  for (let at = 0; at < width * height; ++at) counts.set(colour(at), (counts.get(colour(at)) ?? 0) + 1);
  const palette = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 256).map(([value]) => value);
  const index = new Map(palette.map((value, at) => [value, at]));
  const distance = (a, b) => [16, 8, 0].reduce((sum, shift) => sum + (((a >> shift) & 255) - ((b >> shift) & 255)) ** 2, 0);
  for (const value of counts.keys()) {
    if (!index.has(value)) index.set(value, palette.reduce((best, one, at) => distance(one, value) < distance(palette[best], value) ? at : best, 0));
  }
  const rows = Buffer.alloc((width + 1) * height);
  for (let y = 0; y < height; ++y)
    for (let x = 0; x < width; ++x) rows[y * (width + 1) + 1 + x] = index.get(colour(y * width + x));
  const newHeader = Buffer.from(header);
  newHeader[8] = 8;
  newHeader[9] = 3;
  const colours = Buffer.alloc(palette.length * 3);
  palette.forEach((value, at) => colours.writeUIntBE(value, at * 3, 3));
  return Buffer.concat([SIGNATURE, chunk('IHDR', newHeader), chunk('PLTE', colours),
    chunk('IDAT', deflateSync(rows, {level: 9})), chunk('IEND', Buffer.alloc(0))]);
}
