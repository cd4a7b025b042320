// teleport.js is a client of teleport for browsers: an ES module without dependencies
// and without a build step. It speaks the packet format 'fast' (doc/protocol.md) over a
// WebSocket, and also runs in workers, and in Node.js from version 22 on.
//
//	import { dial, TeleportError } from "/teleport.js";
//
//	const session = await dial("/tp");
//	session.onPush("/news", (item) => console.log(item));
//	console.log(await session.pull("/math/add", [1, 2], { timeout: 5000 }));
//	session.push("/chat/say", { text: "hello" });
//	await session.close();
//
// Bodies are JSON unless another codec is given. Integers beyond 2^53 lose digits, as JSON
// in JavaScript does. Packets that went through a transfer filter are not understood: the
// session ends when one comes.

const PULL = 1, REPLY = 2, PUSH = 3, CANCEL = 4, GOAWAY = 5, PING = 6, PONG = 7;

const FAST = 0x66;
const PREFIX = 6; // size, id of the format, number of filters
const FIXED = 18; // seq, type, two lengths, codec

const CODEC_IDS = { json: 0x6a, string: 0x73, protobuf: 0x70, none: 0 };
const CODEC_NAMES = { 0x6a: "json", 0x73: "string", 0x70: "protobuf", 0: "none" };

const CAPS = "X-Tp-Caps";
const CONTROL = 1; // the bit of it: this side understands the types 4 to 7
const REPLY_ERROR = "X-Reply-Error";
const TIMEOUT = "X-Timeout";

// Codes of the errors that are made here; those of the server are its own.
export const CONN_CLOSED = 102, DIAL_FAILED = 105, BAD_PACKET = 400, NOT_FOUND = 404,
	TIMED_OUT = 408, CANCELED = 499, INTERNAL = 500;

const MAX_DELAY = 2 ** 31 - 1; // setTimeout takes more for 0

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true }); // which would take it off

// TeleportError is the error of a pull, or of a session that cannot go on. Who throws one
// in a handler of onPull answers with it.
export class TeleportError extends Error {
	constructor(code, message, detail = "") {
		super(message);
		this.name = "TeleportError";
		this.code = code;
		this.detail = detail;
	}
}

// encodePacket returns the frame of a packet { seq, type, uri, meta, codec, body }: meta is
// a URLSearchParams or what it can be made of, body bytes.
export function encodePacket({ seq, type, uri = "", meta = "", codec = "none", body = new Uint8Array() }) {
	const path = encoder.encode(uri);
	const pairs = encoder.encode(new URLSearchParams(meta).toString().replaceAll("+", "%20"));
	const frame = new Uint8Array(PREFIX + FIXED + path.length + pairs.length + body.length);
	const view = new DataView(frame.buffer);
	view.setUint32(0, frame.length);
	frame[4] = FAST;
	view.setBigUint64(6, BigInt(seq));
	frame[14] = type;
	view.setUint32(15, path.length);
	frame.set(path, 19);
	let at = 19 + path.length;
	view.setUint32(at, pairs.length);
	frame.set(pairs, at + 4);
	at += 4 + pairs.length;
	frame[at] = CODEC_IDS[codec] ?? codec;
	frame.set(body, at + 1);
	return frame;
}

const MAX_CHUNKS = 4096;

// PacketReader makes packets of the bytes of messages, which may be cut anywhere.
export class PacketReader {
	#limit;
	#chunks = []; // what has come and is no whole frame; none is empty
	#length = 0; // of all of them

	constructor(limit) {
		this.#limit = limit;
	}

	// read takes the next bytes and returns the packets that are whole. It throws a
	// TeleportError if they are none.
	read(bytes) {
		if (bytes.length > 0) {
			this.#chunks.push(bytes);
			this.#length += bytes.length;
		}
		if (this.#chunks.length > MAX_CHUNKS + this.#length / 64) { // tiny ones take more than they hold
			this.#join();
		}
		const packets = [];
		for (let frame = this.#cut(); frame; frame = this.#cut()) {
			packets.push(decodePacket(frame));
		}
		return packets;
	}

	// #cut returns the next frame, or nothing if it is not there as a whole.
	#cut() {
		if (this.#length < PREFIX) {
			return undefined;
		}
		if (this.#chunks[0].length < PREFIX) {
			this.#join();
		}
		const head = this.#chunks[0];
		const size = new DataView(head.buffer, head.byteOffset).getUint32(0);
		if (head[4] !== FAST) {
			throw malformed("not the packet format 'fast'");
		}
		if (size < PREFIX + FIXED || head[5] !== 0) {
			throw malformed(head[5] !== 0 ? "it went through a transfer filter" : `a frame of ${size} bytes`);
		}
		if (size > this.#limit) {
			throw malformed(`${size} bytes, the limit is ${this.#limit}`);
		}
		if (this.#length < size) {
			return undefined;
		}
		this.#join();
		const all = this.#chunks[0];
		this.#length -= size;
		this.#chunks = this.#length > 0 ? [all.subarray(size)] : [];
		return all.subarray(0, size);
	}

	#join() {
		if (this.#chunks.length === 1) {
			return;
		}
		const all = new Uint8Array(this.#length);
		let at = 0;
		for (const chunk of this.#chunks) {
			all.set(chunk, at);
			at += chunk.length;
		}
		this.#chunks = [all];
	}
}

function malformed(detail) {
	return new TeleportError(BAD_PACKET, "Bad Packet", detail);
}

// decodePacket returns the packet of a whole frame without filters.
function decodePacket(frame) {
	const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
	let at = 15;
	const field = (what) => {
		if (at + 4 > frame.length || at + 4 + view.getUint32(at) >= frame.length) { // a codec follows
			throw malformed(`no room for the ${what}`);
		}
		const end = at + 4 + view.getUint32(at);
		const text = decoder.decode(frame.subarray(at + 4, end));
		at = end;
		return text;
	};
	const seq = Number(view.getBigUint64(6));
	const type = frame[14];
	const uri = field("uri");
	const meta = new URLSearchParams(field("meta"));
	return { seq, type, uri, meta, codec: CODEC_NAMES[frame[at]] ?? frame[at], body: frame.subarray(at + 1) };
}

// encodeBody returns the bytes of a body in a codec. Bytes stay as they are.
function encodeBody(codec, body) {
	if (body instanceof ArrayBuffer) {
		return new Uint8Array(body);
	}
	if (ArrayBuffer.isView(body)) {
		return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
	}
	switch (codec) {
	case "json":
		try {
			return encoder.encode(JSON.stringify(body) ?? "null");
		} catch (err) { // a cycle, or a BigInt
			throw malformed(`the body: ${err.message}`);
		}
	case "string":
		return encoder.encode(body ?? "");
	default:
		if (body === undefined || body === null) {
			return new Uint8Array();
		}
		throw malformed(`a body in the codec ${codec} is a Uint8Array`);
	}
}

// decodeBody returns what is in the body of a packet that came: bytes if the codec is
// neither json nor string.
function decodeBody({ codec, body }) {
	switch (codec) {
	case "json":
		try {
			return body.length === 0 ? null : JSON.parse(decoder.decode(body));
		} catch (err) {
			throw malformed(`the body: ${err.message}`);
		}
	case "string":
		return decoder.decode(body);
	default:
		return body.slice(); // the rest of a message may be large
	}
}

// dial opens a session. The url is like that of a WebSocket, or relative to the page, as
// "/tp". Options:
//
//	timeout        ms for the connection; default 10000, 0 is none
//	signal         an AbortSignal that gives up dialling
//	protocols      WebSocket subprotocols to offer; default ["teleport"]
//	packetLimit    the greatest packet in bytes, read and written; default 16 MiB
//
// It rejects with DIAL_FAILED; a browser does not tell a page why.
export function dial(url, { timeout = 10000, signal, protocols = ["teleport"], packetLimit = 16 << 20 } = {}) {
	return new Promise((resolve, reject) => {
		let full, ws;
		try {
			full = new URL(url, globalThis.location?.href);
			full.protocol = full.protocol.replace(/^http/, "ws");
			ws = new WebSocket(full.href, protocols);
		} catch (err) { // no such address, or a page of https that asks for ws
			throw new TeleportError(DIAL_FAILED, "Dial Failed", err.message);
		}
		ws.binaryType = "arraybuffer";
		const fail = (detail) => {
			end();
			ws.close();
			reject(new TeleportError(DIAL_FAILED, "Dial Failed", detail));
		};
		const aborted = () => fail("canceled");
		const timer = timeout > 0 ? setTimeout(() => fail(`not in ${timeout} ms`), Math.min(timeout, MAX_DELAY)) : undefined;
		const end = () => {
			clearTimeout(timer);
			signal?.removeEventListener("abort", aborted);
			ws.onopen = ws.onclose = null;
		};
		ws.onopen = () => {
			end();
			resolve(new Session(ws, packetLimit));
		};
		ws.onclose = (event) => fail(`${full.href}: status ${event.code}`);
		signal?.addEventListener("abort", aborted);
		if (signal?.aborted) {
			aborted();
		}
	});
}

// Session is a connection on which both sides pull and push. See dial.
export class Session {
	#ws;
	#limit;
	#reader;
	#pending = new Map(); // of the pulls under way, by their seq
	#pulls = 0; // the next seq
	#pushes = 0;
	#handlers = { pull: new Map(), push: new Map() };
	#running = 0; // handlers of pulls
	#saidInCall = false; // the capabilities were announced
	#saidInReply = false;
	#known = false; // the other side has announced its own
	#leaving = false; // no pulls and pushes any more
	#toldLeaving = false;
	#failure; // why this side has ended the session
	#over;

	// closed is a promise of { code, reason, error } when the session has ended; error is
	// there if this side ended it because of what came.
	closed;

	// Use dial.
	constructor(ws, packetLimit) {
		this.#ws = ws;
		this.#limit = packetLimit;
		this.#reader = new PacketReader(packetLimit);
		this.closed = new Promise((resolve) => { this.#over = resolve; });
		ws.onmessage = (event) => this.#arrived(event.data);
		ws.onclose = (event) => this.#ended(event);
	}

	// bufferedAmount is how many bytes the browser has not sent yet.
	get bufferedAmount() {
		return this.#ws.bufferedAmount;
	}

	// pull calls a handler of the server and returns a promise of the body of its reply, which
	// rejects with a TeleportError. Options:
	//
	//	meta     an object or URLSearchParams
	//	codec    json (default), string, protobuf (the body is a Uint8Array) or none
	//	timeout  ms, after which the pull fails with TIMED_OUT, and the handler's context ends
	//	signal   an AbortSignal, which does the same with CANCELED
	//	raw      true: the reply's body as a Uint8Array, whatever its codec
	async pull(uri, body, options) {
		return (await this.pullPacket(uri, body, options)).body;
	}

	// pullPacket is pull that returns a promise of the whole reply: { uri, meta, codec, body }.
	pullPacket(uri, body, { meta, codec = "json", timeout = 0, signal, raw = false } = {}) {
		return new Promise((resolve, reject) => {
			this.#checkOpen();
			if (signal?.aborted) {
				throw new TeleportError(CANCELED, "Canceled");
			}
			const seq = this.#pulls;
			const pairs = new URLSearchParams(meta);
			timeout = Math.min(timeout, MAX_DELAY);
			if (timeout > 0) {
				pairs.set(TIMEOUT, Math.max(1, Math.round(timeout)));
			}
			this.#call({ seq, type: PULL, uri, meta: pairs, codec }, body);
			this.#pulls++;
			const giveUp = (err) => {
				if (this.#pending.has(seq)) {
					this.#control(CANCEL, seq);
					this.#finish(seq, (pull) => pull.reject(err));
				}
			};
			const aborted = () => giveUp(new TeleportError(CANCELED, "Canceled"));
			const timer = timeout > 0 ? setTimeout(() => giveUp(new TeleportError(TIMED_OUT, "Timeout")), timeout) : undefined;
			signal?.addEventListener("abort", aborted);
			this.#pending.set(seq, {
				raw, resolve, reject,
				release() {
					clearTimeout(timer);
					signal?.removeEventListener("abort", aborted);
				},
			});
		});
	}

	// push sends to a handler of the server, which does not answer. It throws a TeleportError
	// if the session has ended or the packet cannot be sent. Options are meta and codec of pull.
	push(uri, body, { meta, codec = "json" } = {}) {
		this.#checkOpen();
		this.#call({ seq: this.#pushes, type: PUSH, uri, meta: new URLSearchParams(meta), codec }, body);
		this.#pushes++;
	}

	// onPush sets the handler of the pushes to a path, without its query: handler(body,
	// packet). "*" is every other path. Set handlers right after dial, before any other
	// await: what comes without a handler is dropped.
	onPush(path, handler) {
		this.#handlers.push.set(path, handler);
	}

	// onPull sets the handler of the pulls to a path, as onPush does. What it returns, or
	// what its promise becomes, is the reply. Without a handler the answer is 404.
	onPull(path, handler) {
		this.#handlers.pull.set(path, handler);
	}

	// close ends the session when the pulls under way are answered, at the latest after the
	// given ms, and returns closed.
	close(timeout = 10000) {
		this.#leaving = true;
		this.#leaveIfQuiet();
		const timer = setTimeout(() => this.#cut(1000, `not in ${timeout} ms`), Math.min(timeout, MAX_DELAY));
		this.closed.then(() => clearTimeout(timer));
		return this.closed;
	}

	#checkOpen() {
		if (this.#leaving || this.#ws.readyState !== WebSocket.OPEN) {
			throw new TeleportError(CONN_CLOSED, "Connection Closed");
		}
	}

	// #call sends a pull or push.
	#call(packet, body) {
		if (!this.#saidInCall) {
			packet.meta.set(CAPS, CONTROL);
		}
		this.#send(packet, body);
		this.#saidInCall = true;
	}

	#send(packet, body) {
		const frame = encodePacket({ ...packet, body: encodeBody(packet.codec, body) });
		if (frame.length > this.#limit) {
			throw malformed(`${frame.length} bytes, the limit is ${this.#limit}`);
		}
		this.#ws.send(frame);
	}

	// #control sends a packet of type 4 to 7, to a side that understands it.
	#control(type, seq = 0) {
		if (this.#known && this.#ws.readyState === WebSocket.OPEN) {
			this.#ws.send(encodePacket({ seq, type }));
		}
	}

	#arrived(data) {
		try {
			if (typeof data === "string") {
				throw malformed("a text message; packets are binary");
			}
			for (const packet of this.#reader.read(new Uint8Array(data))) {
				this.#take(packet);
			}
		} catch (err) {
			this.#failure = err;
			this.#cut(4000, "bad packet");
		}
	}

	// #cut ends the session at once. A server that does not answer the close frame would
	// keep all who wait for as long as the browser waits for it.
	#cut(code, reason) {
		this.#ws.onmessage = this.#ws.onclose = null;
		this.#ws.close(code, reason);
		this.#ended({ code, reason });
	}

	#take(packet) {
		this.#learn(packet);
		switch (packet.type) {
		case PULL:
			this.#answer(packet);
			break;
		case REPLY:
			this.#finish(packet.seq, (pull) => this.#settle(pull, packet));
			break;
		case PUSH:
			this.#handle(packet);
			break;
		case GOAWAY:
			this.#leaving = true;
			this.#leaveIfQuiet();
			break;
		case PING:
			this.#control(PONG, packet.seq);
			break;
		case CANCEL: case PONG:
			break;
		default:
			throw malformed(`a packet of type ${packet.type}`);
		}
	}

	// #learn takes note of what the other side understands.
	#learn(packet) {
		const caps = packet.meta.get(CAPS);
		packet.meta.delete(CAPS);
		if (this.#known || packet.type <= PUSH && !(Number(caps) & CONTROL)) {
			return;
		}
		this.#known = true;
		if (!this.#saidInCall && !this.#saidInReply) {
			this.#control(PING);
		}
	}

	// #settle ends a pull with its reply.
	#settle(pull, packet) {
		const failed = packet.meta.get(REPLY_ERROR);
		if (failed !== null) {
			pull.reject(parseError(failed));
			return;
		}
		try {
			packet.body = pull.raw ? packet.body.slice() : decodeBody(packet);
		} catch (err) {
			pull.reject(err);
			return;
		}
		const { uri, meta, codec, body } = packet;
		pull.resolve({ uri, meta, codec, body });
	}

	// #finish takes a pull off the pending ones. A reply that nobody waits for is dropped.
	#finish(seq, end) {
		const pull = this.#pending.get(seq);
		if (!pull) {
			return;
		}
		this.#pending.delete(seq);
		pull.release();
		end(pull);
		this.#leaveIfQuiet();
	}

	#handlerOf(kind, uri) {
		return this.#handlers[kind].get(uri.split("?")[0]) ?? this.#handlers[kind].get("*");
	}

	// #handle runs the handler of a push. Its errors are the page's.
	async #handle(packet) {
		const handler = this.#handlerOf("push", packet.uri);
		if (!handler) {
			return;
		}
		try {
			packet.body = decodeBody(packet);
			await handler(packet.body, packet);
		} catch (err) {
			console.error("teleport: the handler of the push", packet.uri, err);
		}
	}

	// #answer runs the handler of a pull and sends its reply.
	async #answer(packet) {
		this.#running++;
		let body = null, failed;
		try {
			const handler = this.#handlerOf("pull", packet.uri);
			if (!handler) {
				throw new TeleportError(NOT_FOUND, "Not Found");
			}
			packet.body = decodeBody(packet);
			body = await handler(packet.body, packet);
		} catch (err) {
			failed = err || new Error(`it threw ${err}`);
		}
		try {
			this.#reply(packet, body, failed);
		} catch (err) { // it cannot be encoded, or is too long, perhaps by its uri
			this.#reply({ seq: packet.seq, uri: "" }, null, err);
		} finally {
			this.#running--;
			this.#leaveIfQuiet();
		}
	}

	#reply({ seq, uri }, body, failed) {
		if (this.#ws.readyState !== WebSocket.OPEN) {
			return;
		}
		const meta = new URLSearchParams();
		if (failed) {
			if (!(failed instanceof TeleportError)) { // its text is nobody's business
				console.error("teleport: the handler of the pull", uri, failed);
				failed = new TeleportError(INTERNAL, "Internal Server Error", "the handler failed");
			}
			const { code, message, detail } = failed;
			meta.set(REPLY_ERROR, JSON.stringify({ code, message, detail }));
		}
		if (!this.#saidInReply) {
			meta.set(CAPS, CONTROL);
		}
		this.#send({ seq, type: REPLY, uri, meta, codec: "json" }, failed ? null : body);
		this.#saidInReply = true;
	}

	// #leaveIfQuiet tells the other side, once nothing is under way any more, that nothing
	// will come. It closes then. One that does not understand this is closed from here.
	#leaveIfQuiet() {
		if (!this.#leaving || this.#toldLeaving || this.#pending.size > 0 || this.#running > 0) {
			return;
		}
		this.#toldLeaving = true;
		if (this.#known) {
			this.#control(GOAWAY);
		} else {
			this.#ws.close(1000);
		}
	}

	#ended({ code, reason }) {
		this.#leaving = this.#toldLeaving = true;
		for (const seq of [...this.#pending.keys()]) {
			const detail = this.#failure?.detail ?? (reason || `status ${code}`);
			this.#finish(seq, (pull) => pull.reject(new TeleportError(CONN_CLOSED, "Connection Closed", detail)));
		}
		this.#over({ code, reason, error: this.#failure });
	}
}

function parseError(text) {
	try {
		const { code, message, detail } = JSON.parse(text);
		return new TeleportError(Number(code ?? 0), String(message ?? ""), String(detail ?? ""));
	} catch {
		return new TeleportError(BAD_PACKET, "Bad Packet", `an error that cannot be decoded: ${text}`);
	}
}
