/**
 * A PNG file from RGBA pixels: signature, IHDR, one IDAT (zlib, no filter), IEND; every chunk with its CRC-32.
 *
 * Portable Network Graphics specification, ISO/IEC 15948. What this leaves out: palettes, filters, interlacing.
 */
import { crc32, deflateSync } from "node:zlib";

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

/** Length of the content, four letters, content, CRC of letters and content. */
function chunk(name: string, content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + content.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  bytes.set(new TextEncoder().encode(name), 4);
  bytes.set(content, 8);
  view.setUint32(8 + content.length, crc32(bytes.subarray(4, 8 + content.length)));
  return bytes;
}

/**
 * @param pixels width × height × 4, row-major: red, green, blue, opacity
 * @returns the file's bytes
 */
export function encodePng(width: number, height: number, pixels: Uint8Array): Uint8Array {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, 6], 8); // 8 bits a channel, RGBA
  const stride = 4 * width;
  const rows = new Uint8Array(height * (1 + stride)); // each row behind its filter's number, 0: none
  for (let y = 0; y < height; y++)
    rows.set(pixels.subarray(y * stride, (y + 1) * stride), y * (1 + stride) + 1);
  const chunks = [
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(rows, { level: 9 })),
    chunk("IEND", new Uint8Array()),
  ];
  return Uint8Array.from(Buffer.concat([SIGNATURE, ...chunks]));
}
