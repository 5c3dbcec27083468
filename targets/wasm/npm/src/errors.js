// What can go wrong, as codes.

/** A failure with a code (`ErrorCode` in the types). */
export class MoteError extends Error {
  constructor(code, message, options) {
    super(message, options);
    this.name = "MoteError";
    this.code = code;
  }
}

// By the number that the module gives: kinds of the runtime's errors, then the module's own.
const CODES = new Map([
  [-1, "incompatible"],
  [-2, "corrupt"],
  [-3, "invalid"],
  [-4, "buffer"],
  [-5, "missing-kernel"],
  [-6, "usage"],
  [-100, "out-of-memory"],
  [-101, "closed"],
]);

/** The code of a negative number that the module gave. */
export function codeOf(number) {
  return CODES.get(number) ?? "invalid";
}
