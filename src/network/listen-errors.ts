/** Somebody else listens at the address already. */
export class AddressInUseError extends Error {
  override readonly name = 'AddressInUseError';
  readonly code = 'addressInUse';
}

/** The address cannot be listened at: it is not of this machine, or not allowed. */
export class CannotListenError extends Error {
  override readonly name = 'CannotListenError';
  readonly code = 'cannotListen';
}
