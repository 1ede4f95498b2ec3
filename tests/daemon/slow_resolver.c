/* Loaded before libc: a resolver that says that it was asked, and does not answer. */
#include <netdb.h>
#include <unistd.h>

__attribute__((visibility("default"))) int getaddrinfo(const char *name, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **out)
{
    static const char said[] = "resolving\n";

    (void)!write(STDERR_FILENO, said, sizeof(said) - 1);
    sleep(60);
    return EAI_AGAIN;
}
