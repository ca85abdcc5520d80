// A page: it has the generated module and a way to send, which here is a pair of pipes to the test.
// Usage: node page.mjs MODULE SCENE, where SCENE is one of the functions at the end.

import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const generated = await import(pathToFileURL(process.argv[2]));
const waiting = [];
createInterface({ input: process.stdin }).on("line", (line) => waiting.shift()(line));

function send(message) {
  process.stdout.write(`${message}\n`);
  return new Promise((resolve) => waiting.push(resolve));
}

async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    assert(error instanceof generated.TrollbridgeError);
    return error;
  }
  throw new assert.AssertionError({ message: "it was not refused" });
}

const scenes = {
  async everything({ clerk }) {
    const octets = Uint8Array.from({ length: 70000 }, (_, each) => each % 256);
    const label = JSON.parse('{"text": "a", "constructor": null}');
    const words = new Map([["__proto__", 1], ["b", 2n ** 53n]]);
    const given = [octets, "ü\u2028</script>", -(2 ** 53) + 1, 0.5, true, [1, 2n ** 60n], ["x", octets.slice(0, 3)], words, null, label];
    const taken = await clerk.file(...given);
    assert.deepEqual(taken.slice(0, 8), given.slice(0, 8));
    assert.equal(taken[8], null);
    assert.deepEqual(Object.entries(taken[9]), [["text", "a"], ["constructor", null]]);
    assert.equal(Object.getPrototypeOf(taken[9]), Object.prototype);
    assert.equal((await clerk.file("", ...given.slice(1)).catch((error) => error)).name, "InvalidArguments");
  },
  async defaults({ clerk }) {
    const [text, whole, real, octets] = await clerk.delete();
    assert.deepEqual([text, whole, real, octets], ["'\"\u2028</script>", 2n ** 60n + 1n, Infinity, [new Uint8Array(1)]]);
    assert.deepEqual(await clerk.delete(undefined, 7, NaN), ["'\"\u2028</script>", 7, NaN, [new Uint8Array(1)]]);
    assert.equal(await clerk.promise(null), null);
    assert.equal(new TextDecoder().decode(await clerk.secret()), "for the core user interface alone");
  },
  async refusals({ clerk }) {
    assert.equal(clerk.hide, undefined);
    assert.equal(clerk.constructor, undefined);
    assert.throws(() => { clerk.hide = () => {}; }, TypeError);
    assert.deepEqual([(await refusal(clerk.refuse())).name, (await refusal(clerk.promise({}))).name], ["Unwilling", "InvalidArguments"]);
    await assert.rejects(clerk.promise(() => {}), TypeError);
  },
  async streams({ clerk }) {
    const stream = clerk.count(200);
    const items = [];
    for await (const each of stream) items.push(each);
    assert.deepEqual(items, Array.from({ length: 200 }, (_, each) => each));
    assert.equal(await stream.result, "counted");
    assert.deepEqual({ ...stream.progress }, { done: 200, total: 200, note: "counting" });
    const left = clerk.count(1000000);
    for await (const each of left) if (each === 3) break;
    assert.equal((await refusal(left.result)).name, "Cancelled");
    const failing = clerk.fail_later(3);
    const some = [];
    assert.equal((await refusal((async () => { for await (const each of failing) some.push(each); })())).name, "Unwilling");
    assert.deepEqual(some, [0, 1, 2]);
  },
};

for (const scene of process.argv[3].split(",")) await scenes[scene](generated.connect(send));
process.stdout.write("over\n");
process.exit(0);
