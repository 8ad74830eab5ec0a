// Names one connection of a ROUTER, or of a DirectDoor beside it.
#pragma once

#include <string>

#include "base/ids.h"

namespace fanfare {

// The opaque routing id that a ROUTER gave one connection; a peer that reconnects gets a new one.
// With curve_server the peer's key stands before it: a peer may choose an id that was another
// one's, but is never taken for it, and never sent what was meant for it. A DEALER's only peer is
// the empty one.
using PeerId = StrongId<struct PeerTag, std::string>;

}  // namespace fanfare
