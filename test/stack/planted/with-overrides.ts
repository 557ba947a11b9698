/** @returns `target` with some of its members replaced; the rest is its own */
export function withOverrides<T extends object>(target: T, overrides: Partial<T>): T {
  return new Proxy(target, {
    get(_target, name) {
      if (Object.hasOwn(overrides, name)) return Reflect.get(overrides, name);
      const value: unknown = Reflect.get(target, name, target);
      // Private fields know only the object itself.
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
