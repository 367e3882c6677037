/** Binary parts of the page, which it holds as text. */
import { byId } from "./dom.js";

/** The bytes of an element that holds them compressed by gzip, as text. */
export const unpacked = async (id) => {
  const packed = new Blob([decoded(byId(id).textContent.trim())]).stream();
  const stream = packed.pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};

/** The bytes of base64 text. */
export function decoded(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
