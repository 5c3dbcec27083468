// Features and probabilities over time.

/** A frame of sound, and what the network made of it. */
export interface Moment {
  features: Float32Array;
  /** Probabilities of the classes; `null` while the network waits for more frames. */
  shares: ArrayLike<number> | null;
}

/** A word in the plot. */
export interface Mark {
  first: number;
  last: number;
  text: string;
}

export function colour(index: number, count: number): string {
  return `hsl(${Math.round((360 * index) / count)} 75% 50%)`;
}

/** Draws moments `from..to`: above, features as grey; below, a curve for each class, and words where they were heard. */
export function draw(canvas: HTMLCanvasElement, moments: Moment[], marks: Mark[], from: number, to: number) {
  const scale = devicePixelRatio;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  Object.assign(canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
  const context = canvas.getContext("2d")!;
  context.scale(scale, scale);
  const middle = Math.round(height * 0.4);
  const x = (frame: number) => (width * (frame - from)) / (to - from);
  const shown = moments.slice(Math.max(from, 0), to);
  const first = Math.max(from, 0);
  drawFeatures(context, shown, x(first), x(first + shown.length), middle);

  const classes = shown.find(({ shares }) => shares)?.shares?.length ?? 0;
  const y = (share: number) => height - 4 - share * (height - middle - 44);
  for (let c = 0; c < classes; c++) {
    context.beginPath();
    shown.forEach(({ shares }, i) => shares && context.lineTo(x(first + i + 0.5), y(shares[c])));
    context.strokeStyle = colour(c, classes);
    context.lineWidth = 1.5;
    context.stroke();
  }
  context.fillStyle = getComputedStyle(canvas).color;
  context.font = "600 14px system-ui, sans-serif";
  context.textAlign = "center";
  // Words that would run into each other stand on lines of their own.
  const ends: number[] = [];
  for (const { first, last, text } of marks) {
    if (last < from || first >= to) continue;
    const [centre, half] = [x((first + last + 1) / 2), context.measureText(text).width / 2 + 3];
    const free = ends.findIndex((end) => end <= centre - half);
    const line = free < 0 ? ends.length : free;
    ends[line] = centre + half;
    context.fillText(text, centre, middle + 15 + 16 * line);
  }
}

/** A pixel for each feature, stretched to `left..right` and `0..bottom`; low frequencies are below. */
function drawFeatures(context: CanvasRenderingContext2D, shown: Moment[], left: number, right: number, bottom: number) {
  if (shown.length === 0) return;
  const mels = shown[0].features.length;
  const image = new ImageData(shown.length, mels);
  shown.forEach(({ features }, column) => {
    features.forEach((feature, mel) => {
      const value = 255 * feature;
      image.data.set([value, value, value, 255], 4 * ((mels - 1 - mel) * shown.length + column));
    });
  });
  const pixels = new OffscreenCanvas(shown.length, mels);
  pixels.getContext("2d")!.putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(pixels, left, 0, right - left, bottom);
}
