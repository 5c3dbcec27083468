// Where samples come from.

/** Samples of a recording, one channel at this rate. */
export async function recorded(file: Blob, rate: number): Promise<Float32Array> {
  const audio = await new OfflineAudioContext(1, 1, rate).decodeAudioData(await file.arrayBuffer());
  const sum = new Float32Array(audio.length);
  for (let c = 0; c < audio.numberOfChannels; c++) {
    audio.getChannelData(c).forEach((sample, i) => (sum[i] += sample / audio.numberOfChannels));
  }
  return sum;
}

/** Hands over what the microphone hears until the function that this gives is called. */
export async function microphone(rate: number, take: (samples: Float32Array) => void): Promise<() => void> {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: false } });
  // The context resamples.
  const context = new AudioContext({ sampleRate: rate });
  const stop = () => {
    stream.getTracks().forEach((track) => track.stop());
    void context.close();
  };
  try {
    await context.audioWorklet.addModule(new URL("./tap.js", import.meta.url));
    const tap = new AudioWorkletNode(context, "tap", { numberOfOutputs: 0 });
    tap.port.onmessage = ({ data }) => take(data);
    context.createMediaStreamSource(stream).connect(tap);
    await context.resume();
    return stop;
  } catch (error) {
    stop();
    if ((error as Error).name !== "NotSupportedError") throw error;
    // Not every browser resamples a microphone.
    throw new Error(`this browser does not give a microphone at ${rate} Hz: take a recording`, { cause: error });
  }
}
