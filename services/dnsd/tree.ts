/** A tree of domain names by their labels. It finds names and the empty non-terminals between them (RFC 4592 §2.2.2). */

/** A node of the tree of domain names, in which a zone's names and the empty non-terminals between names are found. */
export class Node<T> {
  /** The caller's value for this name. */
  value: T | undefined;
  // Most nodes have no child or one (ip6.arpa: 32 nodes a name), so a Map is rarely worth its memory.
  #children: Node<T> | Map<string, Node<T>> | undefined;

  constructor(readonly label: string, readonly parent: Node<T> | undefined) {}

  child(label: string): Node<T> | undefined {
    const children = this.#children;
    if (children instanceof Map) return children.get(label);
    return children?.label === label ? children : undefined;
  }

  *children(): IterableIterator<Node<T>> {
    const children = this.#children;
    if (children instanceof Map) yield* children.values();
    else if (children) yield children;
  }

  get isLeaf(): boolean {
    return this.#children === undefined;
  }

  /** The node of a name below this one (no last dot), if it exists. */
  find(name: string): Node<T> | undefined {
    let node: Node<T> | undefined = this as Node<T>;
    for (const label of name.split(".").reverse()) node = node?.child(label);
    return node;
  }

  /** Like {@link find}, but missing nodes are created on the way; each new node is passed to `made`. */
  grow(name: string, made: (node: Node<T>) => void): Node<T> {
    let node: Node<T> = this as Node<T>;
    for (const label of name.split(".").reverse()) {
      let child = node.child(label);
      if (!child) {
        node.#add(child = new Node(label, node));
        made(child);
      }
      node = child;
    }
    return node;
  }

  /** The name from the root, without the last dot. */
  get name(): string {
    return this.parent && this.parent.label !== "" ? `${this.label}.${this.parent.name}` : this.label;
  }

  /** Removes this node from the tree, and those above it that are empty then. Yields each removed node. */
  *prune(): IterableIterator<Node<T>> {
    let empty: Node<T> | undefined = this as Node<T>;
    while (empty?.parent && empty.isLeaf && empty.value === undefined) {
      const parent: Node<T> = empty.parent;
      parent.#remove(empty);
      yield empty;
      empty = parent;
    }
  }

  #add(child: Node<T>): void {
    const children = this.#children;
    if (children === undefined) this.#children = child;
    else if (children instanceof Map) children.set(child.label, child);
    else this.#children = new Map([[children.label, children], [child.label, child]]);
  }

  #remove(child: Node<T>): void {
    const children = this.#children;
    if (!(children instanceof Map)) this.#children = undefined;
    else {
      children.delete(child.label);
      if (children.size === 0) this.#children = undefined;
    }
  }
}
