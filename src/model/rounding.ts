/** Shares of counts → whole numbers whose sum is right. */

/** Rounds so that the sum of all numbers is right: rare things do not all vanish. */
export function rounded(): (value: number) => number {
  let owed = 0;
  return (value) => {
    const whole = Math.round(value + owed);
    owed += value - whole;
    return whole;
  };
}
