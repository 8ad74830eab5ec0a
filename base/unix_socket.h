// Unix sockets with a name in the file system: made, reached, and who is at the other end.
//
// All are non-blocking and closed on exec. Private to base, worker and client.
#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace fanfare {

enum class UnixKind { kStream, kSeqpacket };

// Listens under `path`, for whom the process' umask lets in; nothing may have that name. kReject:
// the name is too long (107 bytes); kFatal: what the kernel said.
Result<Fd> listen_unix(const std::string& path, UnixKind kind);

// kRetryLater: somebody listens, and has no room at the moment, or this process has no descriptor
// left; kReconnect: nobody does, or he does not let us; kReject: the name is too long.
Result<Fd> connect_unix(const std::string& path, UnixKind kind);

// Whether some process accepts connections there. True, too, if that cannot be found out.
bool somebody_listens(const std::string& path, UnixKind kind);

// Whether the other end of `socket` was made by root, by this process' user, or by whoever owns the
// file `beside`. Whoever may write to a folder can put a socket there in another one's place.
bool made_by_owner_of(const std::string& beside, int socket);

// Whether the owner, group and mode of the socket file `beside` let the other end of `socket` in.
// The mode of a socket's own file says it when it is connected to; this follows one that changes.
bool let_in_by_mode_of(const std::string& beside, int socket);

}  // namespace fanfare
