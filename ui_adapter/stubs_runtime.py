"""The part of generated JavaScript that is the same for everybody: values, calls, streams. ECMAScript 2022, no eval.

May import: nothing of ours. Invariant: nothing in it is looked up by a name that arrived; maps arrive as `Map` and
records by `Object.fromEntries`, so no key of theirs reaches a prototype.
"""

from __future__ import annotations

from typing import Final

RUNTIME: Final = r"""
export class TrollbridgeError extends Error {
  constructor(name, text) {
    super(text);
    this.name = name;
  }
}

function $encoded(bytes) {
  let text = "";
  for (let start = 0; start < bytes.length; start += 32768) {
    text += String.fromCharCode(...bytes.subarray(start, start + 32768));
  }
  return btoa(text);
}

function $decoded(text) {
  return Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
}

function $give(value) {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) ? value : { float: String(value) };
    case "bigint":
      return { int: String(value) };
  }
  if (value === null) return null;
  if (value instanceof Uint8Array) return { bytes: $encoded(value) };
  if (value instanceof ArrayBuffer) return { bytes: $encoded(new Uint8Array(value)) };
  if (Array.isArray(value)) return value.map($give);
  if (value instanceof Map) return { map: [...value].map(([key, each]) => [key, $give(each)]) };
  if (typeof value === "object") {
    return { record: Object.fromEntries(Object.entries(value).map(([key, each]) => [key, $give(each)])) };
  }
  throw new TypeError(`a ${typeof value} cannot be sent`);
}

function $take(tree) {
  if (typeof tree !== "object" || tree === null) return tree;
  if (Array.isArray(tree)) return tree.map($take);
  const [[kind, held]] = Object.entries(tree);
  switch (kind) {
    case "bytes":
      return $decoded(held);
    case "int":
      return BigInt(held);
    case "float":
      return Number(held);
    case "map":
      return new Map(held.map(([key, each]) => [key, $take(each)]));
    case "record":
      return Object.freeze(Object.fromEntries(Object.entries(held).map(([key, each]) => [key, $take(each)])));
  }
  throw new TypeError("an answer holds a value of no known kind");
}

async function $ask($send, message) {
  const answer = JSON.parse(await $send(JSON.stringify(message)));
  if (answer.kind === "error") throw new TrollbridgeError(answer.name, answer.text);
  return answer;
}

async function $call($send, code, values) {
  return $take((await $ask($send, { kind: "call", code, arguments: values.map($give) })).value);
}

class $Stream {
  #send;
  #number;
  #items = [];
  #over = false;
  #turn = Promise.resolve();
  #settle;
  #fail;

  constructor($send, code, values) {
    this.#send = $send;
    this.progress = null;
    this.result = new Promise((resolve, reject) => {
      this.#settle = resolve;
      this.#fail = reject;
    });
    this.result.catch(() => {});
    this.#number = $ask($send, { kind: "call", code, arguments: values.map($give) }).then((answer) => answer.stream);
    this.#number.catch((error) => this.#end(error));
  }

  #end(error) {
    this.#over = true;
    if (error !== undefined) this.#fail(error);
  }

  async #pull() {
    try {
      const answer = await $ask(this.#send, { kind: "pull", stream: await this.#number, items: 64 });
      this.#items.push(...answer.items.map($take));
      if (answer.progress !== null) this.progress = Object.freeze($take(answer.progress));
      if (answer.over) {
        this.#end();
        this.#settle($take(answer.value));
      }
    } catch (error) {
      this.#end(error);
      throw error;
    }
  }

  async #next() {
    while (this.#items.length === 0 && !this.#over) await this.#pull();
    return this.#items.length === 0 ? { done: true, value: undefined } : { done: false, value: this.#items.shift() };
  }

  next() {
    const mine = this.#turn.then(() => this.#next());
    this.#turn = mine.catch(() => {});
    return mine;
  }

  async return() {
    await this.cancel();
    return { done: true, value: undefined };
  }

  async cancel() {
    if (this.#over) return;
    this.#end(new TrollbridgeError("Cancelled", "the stream was cancelled"));
    this.#items.length = 0;
    await $ask(this.#send, { kind: "halt", stream: await this.#number });
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}
"""

DECLARATIONS: Final = """
/** Carries one message to the page's bridge and brings the answer; both are JSON texts. */
export type Send = (message: string) => Promise<string>;

/** A whole number; it arrives as a bigint where a number could not hold it exactly. */
export type Integer = number | bigint;

/** Why a call has no result: `name` is the error's class. */
export class TrollbridgeError extends Error {
  constructor(name: string, text: string);
}

/** What a handler yields, and then returns; leaving the loop cancels it. */
export interface Stream<Item, Result> extends AsyncIterableIterator<Item> {
  readonly result: Promise<Result>;
  readonly progress: Progress | null;
  cancel(): Promise<void>;
}

/** How far a handler is, as it says. */
export interface Progress {
  readonly done: Integer;
  readonly total: Integer;
  readonly note: string;
}
"""
