// What goes wrong in the addon, as C++ sees it and as JavaScript is told.
#pragma once
#include <exception>
#include <new>
#include <stdexcept>
#include <string>

namespace local_entropy {

// A failure with the code by which TypeScript knows it. It needs no environment, so any thread can throw it.
class Failure : public std::runtime_error {
 public:
  Failure(const char* code, const std::string& message) : std::runtime_error(message), code_(code) {}
  const char* code() const { return code_; }

 private:
  const char* code_;
};

// tell(code, message) of whatever was thrown. Nothing is allocated, since memory may be what is missing.
template <class Tell>
auto told(const std::exception_ptr& thrown, Tell tell) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Failure& failure) {
    return tell(failure.code(), failure.what());
  } catch (const std::bad_alloc&) {
    return tell("OUT_OF_MEMORY", "The machine has not enough memory for this call");
  } catch (const std::length_error&) {
    return tell("OUT_OF_MEMORY", "This call asks for more memory than any machine has");
  } catch (const std::exception& error) {
    return tell("FAILED", error.what());
  } catch (...) {
    return tell("FAILED", "The addon failed in a way that it does not know");
  }
}

}  // namespace local_entropy
