/**
 * The streams: one purpose of random numbers each, the fourth word of Philox's counter.
 * The same list as src/reference/random/streams.ts, which explains the counter; test/vectors/ pins both.
 */
export const STREAM_MINIBATCH_ORDER: u32 = 0;
export const STREAM_INITIALIZATION: u32 = 1;
export const STREAM_COMPLEMENT: u32 = 2;
export const STREAM_FIRST_LAYER: u32 = 16;
