-- Which policy an image was made for; none if its client has asked for it. Rules of keeping look at both kinds apart.
PRAGMA user_version = 3;

ALTER TABLE images ADD COLUMN policy TEXT;
UPDATE images SET policy = (SELECT policy FROM jobs WHERE jobs.id = images.job);
