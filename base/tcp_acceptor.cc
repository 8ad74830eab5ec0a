#include "base/tcp_acceptor.h"

#include "base/loop_asio.h"

namespace fanfare {

namespace asio = boost::asio;
using asio::ip::tcp;

struct TcpAcceptor::Impl : std::enable_shared_from_this<TcpAcceptor::Impl> {
  Impl(Loop& loop, OnConnection callback)
      : acceptor(io_context_of(loop)),
        on_connection(std::move(callback)),
        again(loop, [this] { accept(); }) {}

  void accept() {
    acceptor.async_accept(
        [self = shared_from_this()](const boost::system::error_code& error, tcp::socket socket) {
          if (error == asio::error::operation_aborted || !self->acceptor.is_open()) return;
          if (error) return self->again.start_after(kPause);
          self->on_connection(std::move(socket));
          if (self->acceptor.is_open()) self->accept();
        });
  }

  void close() {
    boost::system::error_code ignored;
    acceptor.close(ignored);
    again.stop();
  }

  tcp::acceptor acceptor;
  OnConnection on_connection;
  Timer again;
};

TcpAcceptor::TcpAcceptor(Loop& loop, OnConnection on_connection)
    : impl_(std::make_shared<Impl>(loop, std::move(on_connection))) {}

TcpAcceptor::~TcpAcceptor() {
  close();
}

tcp::acceptor& TcpAcceptor::socket() {
  return impl_->acceptor;
}

void TcpAcceptor::start() {
  impl_->accept();
}

void TcpAcceptor::close() {
  impl_->close();
}

}  // namespace fanfare
