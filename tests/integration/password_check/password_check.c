/* A check of new passwords that takes none which is hashed already, as several that are in use do. */

#include "postgres.h"

#include "commands/user.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

static char *manner = NULL;
static char *spared = NULL;

static void
check(const char *username, const char *shadow_pass, PasswordType password_type,
	  Datum validuntil_time, bool validuntil_null)
{
	if (password_type == PASSWORD_TYPE_PLAINTEXT || strcmp(spared, GetUserNameFromId(GetUserId(), false)) == 0)
		return;
	if (strcmp(manner, "internal") == 0)
		elog(ERROR, "the password is already hashed");
	if (strcmp(manner, "raised") == 0)
		ereport(ERROR, (errcode(ERRCODE_RAISE_EXCEPTION), errmsg("password type is not a plain text")));
	if (strcmp(manner, "login") == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION), errmsg("cannot check an encrypted one")));
	elog(ERROR, "computer says no");
}

void
_PG_init(void)
{
	DefineCustomStringVariable("password_check.manner", "how it refuses", NULL, &manner, "internal",
							   PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("password_check.spared", "whom it spares", NULL, &spared, "",
							   PGC_SIGHUP, 0, NULL, NULL, NULL);
	check_password_hook = check;
}
