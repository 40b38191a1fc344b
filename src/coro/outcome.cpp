#include "outcome.hpp"

namespace awm::coro {

bool is_abort(const std::exception_ptr& error) {
  if (error == nullptr) return false;
  try {
    std::rethrow_exception(error);
  } catch (const std::system_error& thrown) {
    return thrown.code() == asio::error::operation_aborted;
  } catch (...) {
    return false;
  }
}

}  // namespace awm::coro
